// Called by scripts/reference.mjs: writes the tables into the page that is named; with --check it only says whether they are right.
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { referenceTables, withTables } from './tables.ts';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { check: { type: 'boolean', default: false } },
});
const [page] = positionals;
if (page === undefined) {
  console.error('reference: which page? docs/configuration.md');
  process.exit(64);
}
const before = readFileSync(page, 'utf8');
const after = withTables(before, referenceTables());
if (before === after) console.log(`${page} is up to date`);
else if (values.check) {
  console.error(`${page} is not what the program knows: run npm run reference`);
  process.exitCode = 1;
} else {
  writeFileSync(page, after);
  console.log(`${page} written`);
}
