import { sha256 } from './run.ts';
import { type Entry, tarArchive } from './tar.ts';

/** Media types of the OCI image specification, 1.0. */
const MEDIA = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
} as const;

export interface Platform {
  readonly architecture: string;
  readonly os: string;
  readonly variant?: string;
}

/** A blob's descriptor with its bytes beside it. */
interface Blob {
  readonly mediaType: string;
  readonly digest: string;
  readonly bytes: Uint8Array;
}

export interface Layer {
  readonly blob: Blob;
  /** Digest of the archive before compression. */
  readonly diffId: string;
  /** What it holds, for `history`. */
  readonly what: string;
}

export interface ImageSpec {
  readonly platform: Platform;
  readonly layers: readonly Layer[];
  /** `config` of the image configuration: `Entrypoint`, `Env`, `Labels` … */
  readonly config: Readonly<Record<string, unknown>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface Layout {
  readonly images: readonly ImageSpec[];
  readonly annotations: Readonly<Record<string, string>>;
  /** The reference to import as, `registry/name:tag`. */
  readonly name: string;
  /** Seconds since 1970; stands wherever a time does. */
  readonly time: number;
}

/** Compresses with the library inside the pinned Bun: the same bytes on every machine that builds. */
export function layer(entries: readonly Entry[], what: string, time: number): Layer {
  const tar = tarArchive(entries, time);
  const bytes = Bun.gzipSync(new Uint8Array(tar.buffer as ArrayBuffer), { library: 'libdeflate', level: 6 });
  return { blob: blobOf(MEDIA.layer, bytes), diffId: `sha256:${sha256(tar)}`, what };
}

/**
 * An OCI image layout in a tar archive, as `ctr image import` and `podman load` read it: one index for all architectures,
 * and one descriptor of it, which carries the name. Returns the archive and the digest of the index.
 */
export function ociArchive({ images, annotations, name, time }: Layout): {
  archive: Uint8Array;
  digest: string;
} {
  const blobs = new Map<string, Blob>();
  const keep = (blob: Blob) => {
    blobs.set(blob.digest, blob);
    return { mediaType: blob.mediaType, digest: blob.digest, size: blob.bytes.length };
  };
  const manifests = images.map((image) => {
    const config = keep(jsonBlob(MEDIA.config, configOf(image, time)));
    const layers = image.layers.map(({ blob }) => keep(blob));
    const body = {
      schemaVersion: 2,
      mediaType: MEDIA.manifest,
      config,
      layers,
      annotations: image.annotations,
    };
    return { ...keep(jsonBlob(MEDIA.manifest, body)), platform: image.platform };
  });
  const index = keep(
    jsonBlob(MEDIA.index, { schemaVersion: 2, mediaType: MEDIA.index, manifests, annotations }),
  );
  const names = {
    'io.containerd.image.name': name,
    'org.opencontainers.image.ref.name': name.slice(name.lastIndexOf(':') + 1),
  };
  const files: Record<string, unknown> = {
    'oci-layout': { imageLayoutVersion: '1.0.0' },
    'index.json': { schemaVersion: 2, mediaType: MEDIA.index, manifests: [{ ...index, annotations: names }] },
  };
  const folders = ['blobs', 'blobs/sha256'].map((path): Entry => ({ path, mode: 0o755, kind: 'folder' }));
  const entries = [
    ...folders,
    ...Object.entries(files).map(([path, value]) => file(path, encode(value))),
    ...[...blobs.values()].map(({ digest, bytes }) => file(`blobs/${digest.replace(':', '/')}`, bytes)),
  ];
  return { archive: tarArchive(entries, time), digest: index.digest };
}

function configOf({ platform, layers, config }: ImageSpec, time: number): unknown {
  const created = isoTime(time);
  return {
    created,
    ...platform,
    config,
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history: layers.map(({ what }) => ({ created, created_by: what })),
  };
}

/** RFC 3339, whole seconds. */
export function isoTime(time: number): string {
  return new Date(time * 1000).toISOString().replace('.000Z', 'Z');
}

function file(path: string, bytes: Uint8Array): Entry {
  return { path, mode: 0o644, kind: 'file', bytes };
}

function encode(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

function jsonBlob(mediaType: string, value: unknown): Blob {
  return blobOf(mediaType, encode(value));
}

function blobOf(mediaType: string, bytes: Uint8Array): Blob {
  return { mediaType, digest: `sha256:${sha256(bytes)}`, bytes };
}
