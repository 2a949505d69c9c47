// `npm run bench [-- cni|agent] [options]`: programs that print figures; ratios where there is a reference.
import { spawnSync } from 'node:child_process';
import { bunPath, root } from './bun.mjs';
import { buildStandIn, STAND_IN_PACKAGES } from './bench/stand-in.mjs';
import { ensureBuild, ensureModules, ensurePackages, TEST_PACKAGES } from './ensure.mjs';

const BENCHES = {
  cni: "ADD, DEL, 30 at once and memory of the plugin chains, against Debian's containernetworking-plugins [--rounds 20]",
  agent:
    'start, memory, one change, storm, heartbeats, joins, by number of nodes [--nodes 1000,5000 --heartbeats 1 --starts 0 --page 0 --cold]',
  etcd: 'start-up and memory of the etcd client, against the npm package etcd3',
};

async function main([first, ...rest]) {
  if (first === '--help' || first === 'help') {
    console.log('usage: npm run bench [-- <name> [options]]\n');
    for (const [name, what] of Object.entries(BENCHES)) console.log(`  ${name.padEnd(8)} ${what}`);
    return 0;
  }
  const names = first === undefined ? Object.keys(BENCHES) : [first];
  if (!Object.hasOwn(BENCHES, names[0])) {
    console.error(`bench: there is no ${first}; choose ${Object.keys(BENCHES).join(' or ')}`);
    return 2;
  }
  if (process.getuid() !== 0) {
    console.error('bench: needs root for network namespaces');
    return 1;
  }
  const wanted = TEST_PACKAGES.filter(({ name }) =>
    ['iproute2', 'containernetworking-plugins', 'iptables', 'etcd-server', 'etcd-client'].includes(name),
  );
  if (names.includes('cni')) wanted.push(...STAND_IN_PACKAGES);
  if (!ensureModules() || !ensurePackages(wanted) || !(await ensureBuild())) return 1;
  if (names.includes('cni') && !buildStandIn()) return 1;
  let failed = 0;
  for (const name of names) {
    const inner = [bunPath(), `${root}scripts/bench/${name}.ts`, ...rest];
    const done = spawnSync('unshare', ['--net', '--mount', ...inner], { stdio: 'inherit', cwd: root });
    if (done.status !== 0) failed += 1;
  }
  return failed === 0 ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
