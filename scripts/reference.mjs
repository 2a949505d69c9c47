// `npm run reference [-- --check]`: the tables of docs/configuration.md, made of the program's own flags and keys, and what is made of
// the alert rules and the dashboard's panels below packaging.
import { bun, root } from './bun.mjs';
import { ensureModules } from './ensure.mjs';

const page = 'docs/configuration.md';
const given = process.argv.slice(2);
process.exitCode = ensureModules()
  ? Math.max(
      bun([`${root}scripts/reference/main.ts`, page, ...given]),
      bun([`${root}scripts/monitoring/main.ts`, ...given]),
    )
  : 1;
