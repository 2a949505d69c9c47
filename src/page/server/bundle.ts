import { readFileSync } from 'node:fs';

/** The page's files as one text each, and a mark that changes with them. */
export interface PageFiles {
  readonly html: string;
  readonly script: string;
  readonly style: string;
  readonly revision: string;
}

/**
 * Bundles `client/` for browsers. It runs when the program is compiled (imported as a macro), or when it is loaded from source. Throws
 * what the bundler says.
 */
export function bundlePage(): PageFiles {
  const client = `${import.meta.dir}/../client`;
  const options = ['--minify', '--target=browser', '--format=esm'];
  const made = Bun.spawnSync([process.execPath, 'build', ...options, `${client}/main.ts`]);
  if (!made.success) throw new Error(`the page cannot be bundled: ${made.stderr}`);
  const script = made.stdout.toString();
  const html = readFileSync(`${client}/index.html`, 'utf8');
  const style = readFileSync(`${client}/page.css`, 'utf8');
  const hash = new Bun.CryptoHasher('sha256').update(html).update(script).update(style);
  return { html, script, style, revision: hash.digest('hex').slice(0, 16) };
}
