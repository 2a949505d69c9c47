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
  const made = (file: string) => {
    const { success, stdout, stderr } = Bun.spawnSync([
      process.execPath,
      'build',
      ...options,
      `${client}/${file}`,
    ]);
    if (!success) throw new Error(`the page cannot be bundled: ${stderr}`);
    return stdout.toString();
  };
  const script = made('main.ts');
  const html = readFileSync(`${client}/index.html`, 'utf8');
  const style = made('page.css');
  const hash = new Bun.CryptoHasher('sha256').update(html).update(script).update(style);
  return { html, script, style, revision: hash.digest('hex').slice(0, 16) };
}
