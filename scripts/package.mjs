// `npm run package [-- --arch amd64,arm64 --out dist/package]`: an archive with installer and a Debian package for each
// architecture, with checksums and a statement of what they were built from. Needs nothing but the npm packages.
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { bun, root } from './bun.mjs';
import { ensureBuild, ensureModules } from './ensure.mjs';
import { ARCHITECTURES, binFolder } from './target.mjs';

async function main() {
  const known = Object.keys(ARCHITECTURES);
  const { arch, out } = parseArgs({
    options: {
      arch: { type: 'string', default: known.join(',') },
      out: { type: 'string', default: `${root}dist/package` },
    },
  }).values;
  const wanted = arch.split(',');
  const unknown = wanted.filter((one) => !known.includes(one));
  if (unknown.length > 0) {
    console.error(
      `package: there is no ${unknown.join(', ')}; --arch takes ${known.join(',')} or one of them`,
    );
    return 64;
  }
  if (!ensureModules()) return 1;
  for (const one of wanted) if (!(await ensureBuild(one))) return 1;
  const folders = wanted.map((one) => `--bin=${one}=${binFolder(one)}`);
  return bun([`${root}scripts/package/main.ts`, ...folders, `--out=${resolve(out)}`]);
}

process.exitCode = await main();
