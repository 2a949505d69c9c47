// `npm run reference [-- --check]`: the tables of docs/configuration.md, made of the program's own flags and keys.
import { bun, root } from './bun.mjs';
import { ensureModules } from './ensure.mjs';

const page = 'docs/configuration.md';
process.exitCode = ensureModules()
  ? bun([`${root}scripts/reference/main.ts`, page, ...process.argv.slice(2)])
  : 1;
