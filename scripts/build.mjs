// `npm run build [-- --arch <amd64|arm64>]`: dist/bin/flannel and its hard links, dist/bin-<arch> for another machine than this.
// One file; it dispatches on the name it is called by. `-- --runtime node ...` builds it for Node (scripts/node/build.mjs).
import { linkSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { bun, root } from './bun.mjs';
import { ARCHITECTURES, binFolder, HOST_ARCH, targetArguments } from './target.mjs';

/** Every name of the executable but `flannel`, which is the file. */
export const NAMES = ['flanneld', 'bridge', 'host-local', 'loopback', 'portmap', 'flannelctl'];

/** True when the folder of the architecture holds every name and nothing in the sources is newer. */
export function upToDate(arch = HOST_ARCH) {
  return isBuilt(binFolder(arch), ['scripts/build.mjs', 'scripts/target.mjs']);
}

/** True when `folder` holds every name and neither the sources nor `scripts` are newer. */
export function isBuilt(folder, scripts) {
  try {
    const built = statSync(`${folder}/flannel`);
    if (NAMES.some((name) => statSync(`${folder}/${name}`).ino !== built.ino)) return false;
    const sources = readdirSync(`${root}src`, { recursive: true })
      .filter((file) => /\.(ts|html|css)$/.test(file) && !file.endsWith('.test.ts'))
      .map((file) => `${root}src/${file}`);
    const others = ['package.json', 'package-lock.json', ...scripts].map((file) => root + file);
    return [...sources, ...others].every((file) => statSync(file).mtimeMs < built.mtimeMs);
  } catch {
    return false;
  }
}

/** Puts `${staging}/flannel` and its links into `out`, and says so. */
export function install({ staging, out, log, start }) {
  mkdirSync(out, { recursive: true });
  for (const name of NAMES) linkSync(`${staging}/flannel`, `${staging}/${name}`);
  // Rename, never overwrite: a running program keeps its file.
  for (const name of ['flannel', ...NAMES]) renameSync(`${staging}/${name}`, `${out}/${name}`);
  const megabytes = (statSync(`${out}/flannel`).size / 1e6).toFixed(0);
  log(
    `built ${out.slice(root.length)}/{flannel,${NAMES.join(',')}} (${megabytes} MB, ${Date.now() - start} ms)`,
  );
}

/** Builds; returns the exit code. `log` gets progress lines. */
export function build({ arch = HOST_ARCH, log = console.log } = {}) {
  const start = Date.now();
  const out = binFolder(arch);
  const staging = `${root}dist/.build-${process.pid}`;
  mkdirSync(staging, { recursive: true });
  try {
    const code = bun(
      [
        'build',
        '--compile',
        '--bytecode',
        '--minify',
        '--format=esm',
        '--splitting',
        '--sourcemap',
        '--reject-unresolved',
        // Started as root in any directory: it must read no file there that is not asked for.
        '--no-compile-autoload-dotenv',
        '--no-compile-autoload-bunfig',
        '--no-compile-autoload-tsconfig',
        '--no-compile-autoload-package-json',
        // A plugin lives ten milliseconds: compiling to machine code takes it longer than it saves. main.ts sets
        // another policy for the programs that live longer.
        '--compile-jit-policy=100',
        '--compile-exec-argv=--disallow-code-generation-from-strings=strict --no-addons --no-ffi-cc',
        ...targetArguments(arch),
        `--outfile=${staging}/flannel`,
        `${root}src/main.ts`,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    if (code !== 0) return code;
    install({ staging, out, log, start });
    return 0;
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

async function main() {
  const { arch, runtime, node, form } = parseArgs({
    options: {
      arch: { type: 'string', default: HOST_ARCH },
      runtime: { type: 'string', default: 'bun' },
      node: { type: 'string' },
      form: { type: 'string' },
    },
  }).values;
  const { ensureModules } = await import('./ensure.mjs');
  if (runtime === 'node') {
    const { buildForNode } = await import('./node/build.mjs');
    return ensureModules() ? buildForNode({ arch, node, form }) : 1;
  }
  if (runtime !== 'bun' || node !== undefined || form !== undefined) {
    console.error('build: --runtime is bun or node; --node and --form go with --runtime node');
    return 64;
  }
  if (ARCHITECTURES[arch] === undefined) {
    console.error(
      `build: there is no Bun for ${arch}; --arch is one of ${Object.keys(ARCHITECTURES).join(', ')}`,
    );
    console.error('  Others: npm run build -- --runtime node --arch <architecture> (docs/architectures.md)');
    return 64;
  }
  return ensureModules() ? build({ arch }) : 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  // Not awaited here: the build for Node imports this module.
  void main().then((code) => {
    process.exitCode = code;
  });
}
