import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { VERSION } from '#base/version.ts';
import { must, run } from './netns.ts';

const root = new URL('../..', import.meta.url).pathname;

/** Where tests have the image written. */
export const IMAGE_FOLDER = `${root}dist/test/image`;
export const ARCHIVE = `${IMAGE_FOLDER}/flannel-v${VERSION}-image.tar`;

/** `npm run image`; what it said. Needs the network for the registries of Debian and npm, unless their files are there. */
export function writeImage(arch: string, folder = IMAGE_FOLDER): string {
  return must(['node', `${root}scripts/image.mjs`, `--arch=${arch}`, `--out=${folder}`]);
}

/** Says in this process, and to none that it starts for itself, that the image is there: it takes ten seconds of CPU to write. */
const WRITTEN = 'FLANNEL_TEST_IMAGE_WRITTEN';

/** The image of all architectures in IMAGE_FOLDER, written once for all test files of a run. */
export function writeSharedImage(): void {
  if (process.env[WRITTEN] === String(process.pid)) return;
  writeImage('amd64,arm64');
  process.env[WRITTEN] = String(process.pid);
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly platform?: { readonly architecture: string };
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface Manifest {
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

/** An unpacked OCI layout, every blob of which is read by its digest. */
export class OciLayout {
  readonly folder: string;

  /** Unpacks an archive to a folder that is made anew. */
  constructor(archive: string, folder: string) {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    must(['tar', '-xf', archive, '-C', folder]);
    this.folder = folder;
  }

  index(): { manifests: Descriptor[] } {
    return this.#parse(readFileSync(`${this.folder}/index.json`));
  }

  path({ digest }: Descriptor): string {
    return `${this.folder}/blobs/${digest.replace(':', '/')}`;
  }

  /** Throws when a blob is not what its descriptor says. */
  blob(descriptor: Descriptor): Uint8Array {
    const bytes = readFileSync(this.path(descriptor));
    const digest = `sha256:${new Bun.CryptoHasher('sha256').update(bytes).digest('hex')}`;
    if (digest !== descriptor.digest || bytes.length !== descriptor.size)
      throw new Error(`${descriptor.digest} is ${digest}, ${bytes.length} bytes`);
    return bytes;
  }

  json<T>(descriptor: Descriptor): T {
    return this.#parse(this.blob(descriptor));
  }

  /** The manifests of all architectures by their names. */
  manifests(): ReadonlyMap<string, Manifest> {
    const [named, ...more] = this.index().manifests;
    if (named === undefined || more.length > 0) throw new Error('index.json names not one image');
    const { manifests } = this.json<{ manifests: Descriptor[] }>(named);
    return new Map(manifests.map((one) => [one.platform?.architecture ?? '', this.json<Manifest>(one)]));
  }

  /** Unpacks the layers of one architecture as a root file system; returns its folder. */
  rootFileSystem(architecture: string): string {
    const folder = `${this.folder}/root-${architecture}`;
    mkdirSync(folder);
    for (const layer of this.manifests().get(architecture)?.layers ?? [])
      must(['tar', '-xzf', this.path(layer), '-C', folder]);
    return folder;
  }

  #parse<T>(bytes: Uint8Array): T {
    return JSON.parse(new TextDecoder().decode(bytes)) as T;
  }
}

/**
 * A disk of its own in a file, mounted: it has the read-ahead of a usual disk whatever this machine's have, and unmounting
 * empties its cache. Only in a mount namespace of the block's own: the kernel takes mount and loop device away with it.
 */
export class LoopDisk implements Disposable {
  readonly folder: string;
  readonly #file: string;

  constructor(file: string, folder: string, megabytes: number) {
    rmSync(file, { force: true });
    must(['truncate', `--size=${megabytes}M`, file]);
    must(['mkfs.ext4', '-q', '-E', 'nodiscard', file]);
    this.#file = file;
    this.folder = folder;
    mkdirSync(folder, { recursive: true });
    this.mount();
  }

  mount(): void {
    must(['mount', '-o', 'loop', this.#file, this.folder]);
    const device = must(['findmnt', '--noheadings', '--output=SOURCE', this.folder]).trim();
    // Without direct I/O the file's cache would stand behind the disk's, outside of the container's memory limit.
    must(['losetup', '--direct-io=on', device]);
    // In sectors of 512 bytes: 128 KB, the kernel's own default.
    must(['blockdev', '--setra', '256', device]);
  }

  unmount(): void {
    must(['umount', this.folder]);
  }

  [Symbol.dispose](): void {
    run(['umount', this.folder]);
    rmSync(this.#file, { force: true });
  }
}
