// `npm run build -- --runtime node --arch <amd64|arm64|ppc64le|s390x> [--node <file>] [--form executable|script]`:
// dist/node-<arch>/flannel and its hard links, the program as a single executable of Node's (the default) or as a script.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { install, isBuilt } from '../build.mjs';
import { bun, root } from '../bun.mjs';
import { fetchExecutable, HOST_ARCH } from '../target.mjs';

/** Where npm has a Node 26: by architecture its package, pinned. */
const EXECUTABLES = JSON.parse(readFileSync(`${root}scripts/node/executables.json`, 'utf8'));
/** What ELF's header says of the machine, `e_machine` (`elf.h`), by architecture. */
const MACHINES = { amd64: 62, arm64: 183, ppc64le: 21, s390x: 22 };
/** `env` finds Node in PATH, which a container runtime has set; the warning would be the plugin's output on every call. */
const SHEBANG = '#!/usr/bin/env -S node --disable-warning=ExperimentalWarning\n';
const SOURCES = ['build', 'bundle'].map((name) => `scripts/node/${name}.${name === 'build' ? 'mjs' : 'ts'}`);

class Usage extends Error {}

/** The folder of what is built for an architecture. */
export function nodeFolder(arch) {
  return `${root}dist/node-${arch}`;
}

/** Builds for Node unless what is there is newer than the sources; true when it is there. */
export function ensureNodeBuild(arch, form = 'executable') {
  const folder = nodeFolder(arch);
  if (isBuilt(folder, SOURCES) && (readFileSync(`${folder}/flannel`)[0] === 0x23) === (form === 'script'))
    return true;
  return buildForNode({ arch, form }) === 0;
}

/** Returns the exit code. `node`: the executable to build from, where npm has none. */
export function buildForNode({ arch, node, form = 'executable', log = console.log }) {
  const staging = `${root}dist/.node-${process.pid}`;
  const start = Date.now();
  try {
    check(arch, form, node);
    mkdirSync(staging, { recursive: true });
    const module = `${staging}/flannel.mjs`;
    const code = bun([`${root}scripts/node/bundle.ts`, module]);
    if (code !== 0) return code;
    if (form === 'script') writeFileSync(`${staging}/flannel`, SHEBANG + readFileSync(module, 'utf8'));
    else makeExecutable({ arch, base: node ?? nodeExecutable(arch), module, staging });
    chmodSync(`${staging}/flannel`, 0o755);
    install({ staging, out: nodeFolder(arch), log, start });
    return 0;
  } catch (error) {
    if (!(error instanceof Usage)) throw error;
    console.error(`build: ${error.message}`);
    return 64;
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

function check(arch, form, node) {
  if (MACHINES[arch] === undefined)
    throw new Usage(
      `there is no way to build for ${arch}; --arch is one of ${Object.keys(MACHINES).join(', ')}`,
    );
  if (form !== 'executable' && form !== 'script') throw new Usage('--form is executable or script');
  if (form === 'script' && node !== undefined)
    throw new Usage('a script is run by the Node of the machine: --node goes with --form executable');
  if (form === 'script') return;
  if (arch === 's390x')
    throw new Usage('Node makes no single executables for s390x: add --form script (docs/architectures.md)');
  if (node === undefined && EXECUTABLES[arch] === undefined)
    throw new Usage(
      `npm has no Node 26 for ${arch}: fetch or build one and add --node <file>, or --form script (docs/architectures.md)`,
    );
  if (node !== undefined) checkExecutable(arch, node);
}

/** Refuses the executable of another machine, and a launcher whose Node is in a shared library: nothing can be put into that. */
function checkExecutable(arch, path) {
  if (!existsSync(path)) throw new Usage(`${path} is not there`);
  const bytes = readFileSync(path);
  const little = bytes[5] === 1;
  const machine = little ? bytes.readUInt16LE(18) : bytes.readUInt16BE(18);
  if (bytes.readUInt32BE(0) !== 0x7f454c46 || machine !== MACHINES[arch])
    throw new Usage(`${path} is no executable for ${arch}`);
  if (!bytes.includes('NODE_SEA_FUSE_'))
    throw new Usage(
      `${path} is not a Node of one file (Debian's keeps itself in libnode.so): single executables need one`,
    );
}

/** The executable of Node for an architecture that npm has one for; fetched once. */
export function nodeExecutable(arch) {
  const { package: name, ...pinned } = EXECUTABLES[arch];
  return fetchExecutable({ name, ...pinned, file: 'bin/node' });
}

/** Puts the module into a copy of `base`; the Node of this machine does that, for any architecture. */
function makeExecutable({ arch, base, module, staging }) {
  const builder = nodeExecutable(HOST_ARCH);
  const config = `${staging}/sea.json`;
  writeFileSync(
    config,
    JSON.stringify({
      main: module,
      mainFormat: 'module',
      executable: resolve(base),
      output: `${staging}/flannel`,
      disableExperimentalSEAWarning: true,
      useSnapshot: false,
      // It is machine code's companion: good for the Node that made it alone.
      useCodeCache: arch === HOST_ARCH && resolve(base) === builder,
      execArgv: ['--disable-warning=ExperimentalWarning'],
      // Started as root with the environment of a container runtime: NODE_OPTIONS is none of its business.
      execArgvExtension: 'none',
    }),
  );
  const done = spawnSync(builder, ['--build-sea', config], { encoding: 'utf8', cwd: staging });
  if (done.status !== 0) throw new Error(`${builder} --build-sea: ${done.stderr}${done.error ?? ''}`);
}
