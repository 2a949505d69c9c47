import { beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { VERSION } from '#base/version.ts';
import { IMAGE } from '../../scripts/image/name.ts';
import { ARCHIVE, IMAGE_FOLDER, OciLayout, writeImage, writeSharedImage } from '../support/image.ts';
import { must, run } from '../support/netns.ts';

const root = new URL('../..', import.meta.url).pathname;
const FOLDER = `${root}dist/test/image-archive`;
const TARGETS = [
  { arch: 'amd64', machine: 'Advanced Micro Devices X86-64', triplet: 'x86_64-linux-gnu' },
  { arch: 'arm64', machine: 'AArch64', triplet: 'aarch64-linux-gnu' },
] as const;
const NAMES = ['bridge', 'flannel', 'flannelctl', 'flanneld', 'host-local', 'loopback', 'portmap'];

interface Configuration {
  readonly architecture: string;
  readonly os: string;
  readonly created: string;
  readonly config: { readonly Entrypoint: string[]; readonly Labels: Record<string, string> };
  readonly rootfs: { readonly diff_ids: string[] };
}

interface Bom {
  readonly serialNumber: string;
  readonly components: readonly {
    readonly name: string;
    readonly version: string;
    readonly purl?: string;
    readonly scope?: string;
    readonly hashes: readonly { alg: string; content: string }[];
  }[];
}

interface Statement {
  readonly subject: readonly { readonly name: string; readonly digest: { readonly sha256: string } }[];
  readonly predicate: {
    readonly buildDefinition: {
      readonly buildType: string;
      readonly resolvedDependencies: readonly {
        readonly uri?: string;
        readonly digest: Readonly<Record<string, string>>;
      }[];
    };
  };
}

function sorted(names: readonly string[]): string[] {
  return [...names].sort((a, b) => (a < b ? -1 : 1));
}

/** All regular files below a folder, by their paths. */
function filesOf(folder: string): string[] {
  return must(['find', folder, '-type', 'f']).trim().split('\n');
}

describe('the image archive', () => {
  let layout!: OciLayout;
  const roots = new Map<string, string>();

  beforeAll(() => {
    rmSync(FOLDER, { recursive: true, force: true });
    writeSharedImage();
    layout = new OciLayout(ARCHIVE, `${FOLDER}/layout`);
    for (const { arch } of TARGETS) roots.set(arch, layout.rootFileSystem(arch));
  }, 300_000);

  test('checksums are those of the files', () => {
    must(['sh', '-c', `cd ${IMAGE_FOLDER} && sha256sum --check --strict SHA256SUMS`]);
    const listed = readFileSync(`${IMAGE_FOLDER}/SHA256SUMS`, 'utf8').match(/\S+$/gm);
    expect(listed).toEqual([
      `flannel-v${VERSION}-amd64.cdx.json`,
      `flannel-v${VERSION}-arm64.cdx.json`,
      `flannel-v${VERSION}-image.intoto.json`,
      `flannel-v${VERSION}-image.tar`,
    ]);
  });

  test('the statement names archive and image by their digests, and all that went in', () => {
    const statement = JSON.parse(
      readFileSync(`${IMAGE_FOLDER}/flannel-v${VERSION}-image.intoto.json`, 'utf8'),
    ) as Statement;
    const digests = new Map(statement.subject.map(({ name, digest }) => [name, digest.sha256]));
    const sums = readFileSync(`${IMAGE_FOLDER}/SHA256SUMS`, 'utf8');
    const archive = `flannel-v${VERSION}-image.tar`;
    expect(sums).toContain(`${digests.get(archive)}  ${archive}\n`);
    expect(layout.index().manifests[0]?.digest).toBe(`sha256:${digests.get(IMAGE)}`);
    const { buildDefinition } = statement.predicate;
    expect(buildDefinition.buildType).toContain('npm-run-image');
    const uris = buildDefinition.resolvedDependencies.flatMap(({ uri }) => uri ?? []);
    const inside = TARGETS.flatMap(({ arch }) => {
      const bom = readFileSync(`${IMAGE_FOLDER}/flannel-v${VERSION}-${arch}.cdx.json`, 'utf8');
      const { components } = JSON.parse(bom) as Bom;
      return components.filter(({ scope }) => scope === 'required').flatMap(({ purl }) => purl ?? []);
    });
    expect(uris.toSorted()).toEqual([...new Set(inside)].toSorted());
    for (const { digest } of buildDefinition.resolvedDependencies)
      for (const hex of Object.values(digest)) expect(hex).toMatch(/^[0-9a-f]{40,128}$/);
  });

  test('every blob is what its descriptor says, and there is no other', () => {
    const manifests = layout.manifests();
    expect([...manifests.keys()]).toEqual(['amd64', 'arm64']);
    const blobs = [...manifests.values()].flatMap(({ config, layers }) => [config, ...layers]);
    for (const one of blobs) layout.blob(one);
    // Index and a manifest for each architecture beside them.
    expect(readdirSync(`${layout.folder}/blobs/sha256`)).toHaveLength(blobs.length + manifests.size + 1);
  });

  for (const { arch, machine, triplet } of TARGETS) {
    describe(arch, () => {
      test('the configuration names what it is, and the layers as they are uncompressed', () => {
        const manifest = layout.manifests().get(arch);
        if (manifest === undefined) throw new Error('no manifest');
        const config = layout.json<Configuration>(manifest.config);
        expect([config.architecture, config.os]).toEqual([arch, 'linux']);
        expect(config.config.Entrypoint).toEqual(['/opt/bin/flanneld']);
        expect(config.config.Labels).toMatchObject({
          'org.opencontainers.image.title': 'flannel',
          'org.opencontainers.image.version': `v${VERSION}`,
          'org.opencontainers.image.created': config.created,
          'org.opencontainers.image.licenses': 'Apache-2.0',
        });
        const diffs = manifest.layers.map((layer) => {
          const tar = Bun.gunzipSync(new Uint8Array(layout.blob(layer)));
          return `sha256:${new Bun.CryptoHasher('sha256').update(tar).digest('hex')}`;
        });
        expect(config.rootfs.diff_ids).toEqual(diffs);
      });

      test('members are sorted, of one time, and belong to root', () => {
        for (const layer of layout.manifests().get(arch)?.layers ?? []) {
          const listing = must(['tar', '--numeric-owner', '--full-time', '-tvzf', layout.path(layer)]);
          const members = listing.trim().split('\n');
          expect(members.filter((line) => !/^\S+ +0\/0 /.test(line))).toEqual([]);
          const times = new Set(members.map((line) => /\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/.exec(line)?.[0]));
          expect(times.size).toBe(1);
          const names = members
            .filter((line) => !line.startsWith('h'))
            .map((line) => /:\d\d (\S+?)\/?(?: -> .*)?$/.exec(line)?.[1] ?? '');
          expect(names).toEqual(sorted(names));
        }
      });

      test('every program finds its loader and libraries in the image, all of one machine', () => {
        const folder = roots.get(arch) ?? '';
        const elf = filesOf(folder).filter(
          (path) => readFileSync(path).subarray(0, 4).toString('latin1') === '\u007fELF',
        );
        expect(elf.length).toBeGreaterThan(100);
        // All at once: a process for each of hundreds of files takes seconds.
        const texts = must(['readelf', '-W', '-h', '-l', '-d', ...elf]).split(/^File: .*$/m);
        expect(texts.splice(0, 1)).toEqual(['\n']);
        expect(texts).toHaveLength(elf.length);
        for (const text of texts) {
          expect(text).toContain(machine);
          const loader = /interpreter: (\S+)\]/.exec(text)?.[1];
          if (loader !== undefined) expect(statSync(`${folder}${loader}`).size).toBeGreaterThan(0);
          for (const [, name] of text.matchAll(/\(NEEDED\).*\[(.+)\]/g))
            expect(statSync(`${folder}/usr/lib/${triplet}/${name}`).size).toBeGreaterThan(0);
        }
      });

      test('one executable under all its names; no shell, no package manager, nothing with setuid', () => {
        const folder = roots.get(arch) ?? '';
        expect(sorted(readdirSync(`${folder}/opt/bin`))).toEqual(NAMES);
        const inodes = NAMES.map((name) => statSync(`${folder}/opt/bin/${name}`).ino);
        expect(new Set(inodes).size).toBe(1);
        expect(run(['find', folder, '-perm', '/7000', '-not', '-path', `${folder}/tmp`]).stdout).toBe('');
        const programs = readdirSync(`${folder}/usr/sbin`).filter(
          (name) => !/^(ip6?tables|xtables)-?/.test(name),
        );
        expect([...programs, ...readdirSync(`${folder}/usr/bin`)]).toEqual([]);
      });

      test('the bill of materials names what is inside, with versions and digests', () => {
        const beside = readFileSync(`${IMAGE_FOLDER}/flannel-v${VERSION}-${arch}.cdx.json`, 'utf8');
        const folder = roots.get(arch) ?? '';
        expect(readFileSync(`${folder}/usr/share/flannel/sbom.cdx.json`, 'utf8')).toBe(beside);
        const { components, serialNumber } = JSON.parse(beside) as Bom;
        expect(serialNumber).toMatch(/^urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
        const executable = readFileSync(`${folder}/opt/bin/flanneld`);
        const digest = new Bun.CryptoHasher('sha256').update(executable).digest('hex');
        expect(components[0]).toMatchObject({
          name: 'flannel',
          version: VERSION,
          hashes: [{ content: digest }],
        });
        const debian = components.filter(({ purl }) => purl?.startsWith('pkg:deb/') === true);
        const control = debian.map(({ name }) =>
          readFileSync(`${folder}/var/lib/dpkg/status.d/${name}`, 'utf8'),
        );
        for (const [index, { version, hashes }] of debian.entries()) {
          expect(control[index]).toContain(`\nVersion: ${version}\n`);
          expect(hashes[0]?.content).toMatch(/^[0-9a-f]{64}$/);
        }
        expect(debian.map(({ name }) => name)).toEqual(
          sorted(readdirSync(`${folder}/var/lib/dpkg/status.d`)),
        );
        expect(debian.map(({ name }) => name)).toEqual(expect.arrayContaining(['iptables', 'libc6']));
        const excluded = components.filter(({ scope }) => scope === 'excluded').map(({ name }) => name);
        expect(excluded).toEqual(expect.arrayContaining(['bun', 'typescript']));
      });
    });
  }

  test('the same sources give the same bytes again', () => {
    const [one, again] = [`${root}dist/bin-arm64/flannel`, `${FOLDER}/again`];
    const digestOf = (path: string): string => must(['sha256sum', path]).slice(0, 64);
    const before = digestOf(one);
    must(['node', `${root}scripts/build.mjs`, '--arch=arm64']);
    expect(digestOf(one)).toBe(before);
    writeImage('arm64', again);
    const second = new OciLayout(`${again}/flannel-v${VERSION}-image.tar`, `${again}/layout`);
    expect(second.manifests().get('arm64')).toEqual(layout.manifests().get('arm64'));
  });

  test('the executable for arm64 runs, in an emulation of its processor', () => {
    const folder = roots.get('arm64') ?? '';
    const work = mkdtempSync(`${tmpdir()}/flannel-arm64-`);
    const emulated = (
      name: string,
      args: readonly string[],
      cni?: { command: string; stdin: object },
    ): string => {
      const done = Bun.spawnSync(['qemu-aarch64', '-L', folder, `${folder}/opt/bin/${name}`, ...args], {
        stdin: Buffer.from(JSON.stringify(cni?.stdin ?? '')),
        stderr: 'pipe',
        env: {
          CNI_COMMAND: cni?.command,
          CNI_CONTAINERID: 'c1',
          CNI_IFNAME: 'eth0',
          CNI_PATH: '/opt/cni/bin',
          // The emulation has no other namespace to offer; host-local does not care.
          CNI_NETNS: '/proc/self/ns/net',
          CNI_NETNS_OVERRIDE: 'true',
        },
      });
      const text = done.stdout.toString();
      expect([done.exitCode, done.stderr.toString(), text]).toEqual([0, '', expect.anything()]);
      return text;
    };
    try {
      expect(emulated('flanneld', ['--version'])).toBe(`flanneld v${VERSION}\n`);
      expect(emulated('flanneld', ['--help'])).toContain('usage: flanneld');
      const version = { command: 'VERSION', stdin: { cniVersion: '1.0.0' } };
      expect(JSON.parse(emulated('flannel', [], version))).toMatchObject({ cniVersion: '1.1.0' });
      // Locks a file through the foreign function interface, which makes machine code.
      const ipam = { type: 'host-local', dataDir: work, subnet: '10.9.0.0/24' };
      const stdin = { cniVersion: '1.0.0', name: 'x', type: 'bridge', ipam };
      expect(emulated('host-local', [], { command: 'ADD', stdin })).toContain('10.9.0.2/24');
      expect(readdirSync(`${work}/x`)).toContain('10.9.0.2');
      emulated('host-local', [], { command: 'DEL', stdin });
      expect(readdirSync(`${work}/x`)).not.toContain('10.9.0.2');
      expect(
        run(['qemu-aarch64', '-L', folder, `${folder}/usr/sbin/iptables-legacy`, '--version']).stdout,
      ).toContain('(legacy)');
    } finally {
      rmSync(work, { recursive: true });
    }
  });
});
