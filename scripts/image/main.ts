// Writes the image archive from built executables; `npm run image` (scripts/image.mjs) builds them and calls this.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { VERSION } from '#base/version.ts';
import { type Ingredient, provenance } from '../package/provenance.ts';
import { baseLayer } from './base.ts';
import { type DebianPackage, debianPackages } from './debian.ts';
import { FileTree } from './file-tree.ts';
import { IMAGE } from './name.ts';
import { type ImageSpec, isoTime, layer, ociArchive, type Platform } from './oci.ts';
import { sha256 } from './run.ts';
import { readSource, type Source } from './source.ts';
import { billOfMaterials, debianPurl, type NpmPackage } from './sbom.ts';

const root = new URL('../..', import.meta.url).pathname;

/** Every name of the executable; the first is the file, the others are hard links to it. */
const NAMES = ['flanneld', 'flannelctl', 'flannel', 'bridge', 'host-local', 'loopback', 'portmap'];

/** The platform of an architecture, and the npm package with its Bun. */
const PLATFORMS: Readonly<Record<string, { platform: Platform; bun: string }>> = {
  amd64: { platform: { architecture: 'amd64', os: 'linux' }, bun: '@oven/bun-linux-x64' },
  arm64: {
    platform: { architecture: 'arm64', os: 'linux', variant: 'v8' },
    bun: '@oven/bun-linux-aarch64',
  },
};

interface Labelled {
  readonly time: number;
  readonly labels: Readonly<Record<string, string>>;
}

/** The source with the labels that say of an image what it was built from. */
function labelled({ time, revision }: Source): Labelled {
  const labels: Record<string, string> = {
    title: 'flannel',
    description: 'Flannel pod network: node agent and CNI plugins',
    version: `v${VERSION}`,
    created: isoTime(time),
    licenses: 'Apache-2.0',
    ...(revision === undefined ? {} : { revision }),
  };
  const prefixed = Object.entries(labels).map(([key, value]) => [`org.opencontainers.image.${key}`, value]);
  return { time, labels: Object.fromEntries(prefixed) as Record<string, string> };
}

/** npm packages of package-lock.json by their names. */
function npmPackages(): (name: string) => NpmPackage {
  const lock = JSON.parse(readFileSync(`${root}package-lock.json`, 'utf8')) as {
    packages: Record<string, { version: string; integrity: string; license?: string } | undefined>;
  };
  return (name) => {
    const entry = lock.packages[`node_modules/${name}`];
    if (entry === undefined) throw new Error(`package-lock.json does not name ${name}`);
    const { version, integrity, license = 'unknown' } = entry;
    return { name, version, integrity, license };
  };
}

interface Built {
  readonly image: ImageSpec;
  readonly sbom: Uint8Array;
  readonly runtime: NpmPackage;
  readonly debian: readonly DebianPackage[];
}

/** The image of one architecture. `bin`: the folder of its executables. */
function buildImage(architecture: string, bin: string, { time, labels }: Labelled): Built {
  const target = PLATFORMS[architecture];
  if (target === undefined) throw new Error(`no image for ${architecture}`);
  const executable = readFileSync(`${bin}/flannel`);
  const packages = debianPackages(architecture, `${root}dist/cache/debian-${architecture}`);
  const base = baseLayer(packages, `${bin}/flannel`);
  const npm = npmPackages();
  const { devDependencies } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as {
    devDependencies: Record<string, string>;
  };
  const sbom = billOfMaterials({
    version: VERSION,
    architecture,
    digest: sha256(executable),
    runtime: npm(target.bun),
    tools: Object.keys(devDependencies).sort().map(npm),
    debian: base.packages,
    time,
  });
  const own = new FileTree();
  const [first = '', ...others] = NAMES;
  own.file('executable', `opt/bin/${first}`, { bytes: executable, mode: 0o755 });
  for (const name of others) own.hardlink(`opt/bin/${name}`, `opt/bin/${first}`, 0o755);
  own.file('licences', 'usr/share/doc/flannel/LICENSE', { bytes: readFileSync(`${root}LICENSE`) });
  own.file('bill of materials', 'usr/share/flannel/sbom.cdx.json', { bytes: sbom });
  const layers = [
    layer(base.entries, 'files of Debian packages', time),
    layer(own.entries(), 'flannel', time),
  ];
  const parts = new Map(own.sizes);
  for (const [part, size] of base.sizes) parts.set(part, (parts.get(part) ?? 0) + size);
  for (const [part, size] of parts) console.log(`  ${architecture} ${part.padEnd(20)} ${megabytes(size)}`);
  const packed = layers.reduce((sum, { blob }) => sum + blob.bytes.length, 0);
  console.log(`  ${architecture} ${'compressed'.padEnd(20)} ${megabytes(packed)}`);
  const config = {
    Entrypoint: [`/opt/bin/${first}`],
    Env: ['PATH=/opt/bin:/usr/sbin:/usr/bin'],
    WorkingDir: '/',
    Labels: labels,
  };
  const image = { platform: target.platform, layers, config, annotations: labels };
  return { image, sbom, runtime: npm(target.bun), debian: base.packages };
}

interface Subjects {
  /** SHA-256 of the files and of the image, hex, by their names. */
  readonly digests: ReadonlyMap<string, string>;
  /** The reference of the image. */
  readonly name: string;
}

/** What they were built from. */
function statement({ digests, name }: Subjects, source: Source, built: ReadonlyMap<string, Built>): string {
  const architectures = [...built.keys()];
  const options = `--arch ${architectures.join(',')}${name === IMAGE ? '' : ` --name ${name}`}`;
  // A package for all architectures is in each image.
  const debian = new Map(
    [...built.values()].flatMap((one) => one.debian.map(ingredient)).map((one) => [one.uri, one]),
  );
  return provenance({
    script: 'image',
    version: VERSION,
    files: digests,
    revision: source.revision,
    lockfile: sha256(`${root}package-lock.json`),
    runtimes: [...built.values()].map(({ runtime }) => runtime),
    ingredients: [...debian.values()],
    architectures,
    command: `npm ci --ignore-scripts && npm run image -- ${options}`,
    time: source.time,
  });
}

function ingredient({ name, version, architecture, digest }: DebianPackage): Ingredient {
  return { name, uri: debianPurl({ name, version, architecture }), digest: { sha256: digest } };
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(2).padStart(8)} MB`;
}

/** Writes whole files only: a reader never sees half an archive. */
function write(path: string, bytes: Uint8Array | string): void {
  writeFileSync(`${path}.new`, bytes);
  renameSync(`${path}.new`, path);
}

function main(): void {
  const { values } = parseArgs({
    options: {
      bin: { type: 'string', multiple: true, default: [] },
      out: { type: 'string', default: `${root}dist/image` },
      name: { type: 'string', default: IMAGE },
    },
  });
  const start = Date.now();
  const { out, name } = values;
  const source = readSource();
  const { time, labels } = labelled(source);
  const files = new Map<string, Uint8Array>();
  const built = new Map<string, Built>();
  for (const pair of values.bin) {
    const [architecture = '', folder = ''] = pair.split('=');
    const one = buildImage(architecture, folder, { time, labels });
    built.set(architecture, one);
    files.set(`flannel-v${VERSION}-${architecture}.cdx.json`, one.sbom);
  }
  const images = [...built.values()].map(({ image }) => image);
  const { archive, digest } = ociArchive({ images, annotations: labels, name, time });
  files.set(`flannel-v${VERSION}-image.tar`, archive);
  // The image itself is a subject, too: a registry knows it by this digest and has no archive.
  const digests = new Map([...files].map(([file, bytes]) => [file, sha256(bytes)]));
  digests.set(name, digest.replace('sha256:', ''));
  const text = statement({ digests, name }, source, built);
  files.set(`flannel-v${VERSION}-image.intoto.json`, new TextEncoder().encode(text));
  mkdirSync(out, { recursive: true });
  for (const [file, bytes] of files) write(`${out}/${file}`, bytes);
  const sums = [...files]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([file, bytes]) => `${sha256(bytes)}  ${file}\n`);
  write(`${out}/SHA256SUMS`, sums.join(''));
  console.log(`wrote ${out}: ${[...files.keys()].join(', ')}, SHA256SUMS (${Date.now() - start} ms)`);
  console.log(`${name}@${digest}`);
}

try {
  main();
} catch (error) {
  console.error(`image: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
