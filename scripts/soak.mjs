// `npm run soak -- --minutes 30`: five nodes on this machine, random faults, the overlay checked all the time.
import { spawn } from 'node:child_process';
import { bunPath, root } from './bun.mjs';
import { ensureBuild, ensureModules, ensurePackages, TEST_PACKAGES } from './ensure.mjs';

const NEEDED = ['iproute2', 'nftables', 'iptables'];

async function main(args) {
  if (process.getuid() !== 0) {
    console.error('soak: needs root for network namespaces');
    return 1;
  }
  const packages = TEST_PACKAGES.filter(({ name }) => NEEDED.includes(name));
  if (!ensureModules() || !ensurePackages(packages) || !(await ensureBuild())) return 1;
  // It ends, and cleans up, with this process, however this one ends. Its namespace is the nodes' underlay.
  const inner = [
    '--pdeathsig',
    'TERM',
    '--',
    'unshare',
    '--net',
    '--',
    bunPath(),
    `${root}scripts/soak/main.ts`,
  ];
  const env = { ...process.env, FLANNEL_LAB_PROGRAMS: `${root}dist/bin` };
  const child = spawn('setpriv', [...inner, ...args], { stdio: 'inherit', cwd: root, env });
  // Ctrl-C reaches the whole process group: the soak cleans up, this process waits for it.
  process.on('SIGINT', () => {});
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill('SIGTERM'));
  return new Promise((resolve) => {
    child.once('error', (error) => {
      console.error(`soak: ${error.message}`);
      resolve(1);
    });
    child.once('exit', (code, signal) => resolve(code ?? (signal === null ? 1 : 130)));
  });
}

process.exitCode = await main(process.argv.slice(2));
