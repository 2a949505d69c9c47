// `npm run pictures`: the screenshots of the documents anew. That of docs/lab.md is what the test of the lab's page sees; it needs
// root, like that test. Those of docs/page.md are made from made up documents.
import { spawnSync } from 'node:child_process';
import { copyFileSync } from 'node:fs';
import { bunPath, root } from './bun.mjs';
import { ensureBuild, ensureModules, ensurePackages, TEST_PACKAGES } from './ensure.mjs';

const SEEN = `${root}dist/test/page/lab-walk.png`;
const SHOWN = `${root}docs/pictures/lab-page.png`;
const NEEDED = ['iproute2', 'chromium', 'fonts-nanum'];

async function main() {
  const packages = TEST_PACKAGES.filter(({ name }) => NEEDED.includes(name));
  if (!ensureModules() || !ensurePackages(packages) || !(await ensureBuild())) return 1;
  const args = ['test', './test/page/lab.test.ts', '--timeout=120000'];
  const { status } = spawnSync(bunPath(), args, { stdio: 'inherit', cwd: root });
  if (status !== 0) return 1;
  copyFileSync(SEEN, SHOWN);
  return spawnSync(bunPath(), ['scripts/page/pictures.ts'], { stdio: 'inherit', cwd: root }).status ?? 1;
}

process.exitCode = await main();
