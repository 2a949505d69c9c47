// Called by scripts/reference.mjs in the root of the sources: writes what is made of the alert rules and of the dashboard's panels;
// with --check it only says whether they are right.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { derivedFiles, RULES } from './files.ts';

const check = process.argv.includes('--check');
for (const [path, text] of Object.entries(derivedFiles(readFileSync(RULES, 'utf8')))) {
  const before = existsSync(path) ? readFileSync(path, 'utf8') : undefined;
  if (before === text) console.log(`${path} is up to date`);
  else if (check) {
    console.error(`${path} is not what it is made of: run npm run reference`);
    process.exitCode = 1;
  } else {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    console.log(`${path} written`);
  }
}
