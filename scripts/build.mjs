// `npm run build [-- --arch <amd64|arm64>]`: dist/bin/flannel and its hard links, dist/bin-<arch> for another machine than this.
// One file; it dispatches on the name it is called by.
import { linkSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { bun, root } from './bun.mjs';
import { ARCHITECTURES, binFolder, HOST_ARCH, targetArguments } from './target.mjs';

const NAMES = ['flanneld', 'bridge', 'host-local', 'loopback', 'portmap', 'flannelctl'];

/** True when the folder of the architecture holds every name and nothing in the sources is newer. */
export function upToDate(arch = HOST_ARCH) {
  try {
    const folder = binFolder(arch);
    const built = statSync(`${folder}/flannel`);
    if (NAMES.some((name) => statSync(`${folder}/${name}`).ino !== built.ino)) return false;
    const sources = readdirSync(`${root}src`, { recursive: true })
      .filter((file) => /\.(ts|html|css)$/.test(file) && !file.endsWith('.test.ts'))
      .map((file) => `${root}src/${file}`);
    const others = ['package.json', 'package-lock.json', 'scripts/build.mjs', 'scripts/target.mjs'].map(
      (file) => root + file,
    );
    return [...sources, ...others].every((file) => statSync(file).mtimeMs < built.mtimeMs);
  } catch {
    return false;
  }
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
    mkdirSync(out, { recursive: true });
    for (const name of NAMES) linkSync(`${staging}/flannel`, `${staging}/${name}`);
    // Rename, never overwrite: a running program keeps its file.
    for (const name of ['flannel', ...NAMES]) renameSync(`${staging}/${name}`, `${out}/${name}`);
    const megabytes = (statSync(`${out}/flannel`).size / 1e6).toFixed(0);
    log(
      `built ${out.slice(root.length)}/{flannel,${NAMES.join(',')}} (${megabytes} MB, ${Date.now() - start} ms)`,
    );
    return 0;
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

if (process.argv[1]?.endsWith('build.mjs')) {
  const { arch } = parseArgs({ options: { arch: { type: 'string', default: HOST_ARCH } } }).values;
  if (ARCHITECTURES[arch] === undefined) {
    console.error(`build: there is no ${arch}; --arch is one of ${Object.keys(ARCHITECTURES).join(', ')}`);
    process.exitCode = 64;
  } else {
    const { ensureModules } = await import('./ensure.mjs');
    process.exitCode = ensureModules() ? build({ arch }) : 1;
  }
}
