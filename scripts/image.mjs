// `npm run image [-- --arch amd64,arm64 --out dist/image --name <registry/name:tag>]`: an OCI archive for all architectures, with a
// bill of materials for each and checksums. Needs Debian's apt-get and dpkg-deb, no container engine, no root.
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { bun, root } from './bun.mjs';
import { ensureBuild, ensureModules } from './ensure.mjs';
import { ARCHITECTURES, binFolder } from './target.mjs';

async function main() {
  const known = Object.keys(ARCHITECTURES);
  const { arch, out, name } = parseArgs({
    options: {
      arch: { type: 'string', default: known.join(',') },
      out: { type: 'string', default: `${root}dist/image` },
      name: { type: 'string' },
    },
  }).values;
  const wanted = arch.split(',');
  const unknown = wanted.filter((one) => !known.includes(one));
  if (unknown.length > 0) {
    console.error(`image: there is no ${unknown.join(', ')}; --arch takes ${known.join(',')} or one of them`);
    return 64;
  }
  if (!ensureModules()) return 1;
  for (const one of wanted) if (!(await ensureBuild(one))) return 1;
  return bun([
    `${root}scripts/image/main.ts`,
    ...wanted.map((one) => `--bin=${one}=${binFolder(one)}`),
    `--out=${resolve(out)}`,
    ...(name === undefined ? [] : [`--name=${name}`]),
  ]);
}

process.exitCode = await main();
