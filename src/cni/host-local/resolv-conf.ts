import type { CniDns } from '../result.ts';

/** Reads `resolv.conf(5)`: nameserver, domain, search and options; of `search` and `domain` the last line counts. */
export function parseResolvConf(text: string): CniDns {
  const nameservers: string[] = [];
  const options: string[] = [];
  let search: string[] = [];
  let domain: string | undefined;
  for (const line of text.split('\n')) {
    const [keyword, ...words] = line
      .replace(/[#;].*$/, '')
      .trim()
      .split(/\s+/);
    if (words.length === 0) continue;
    if (keyword === 'nameserver') nameservers.push(words[0] ?? '');
    else if (keyword === 'domain') domain = words[0];
    else if (keyword === 'search') search = words;
    else if (keyword === 'options') options.push(...words);
  }
  return { nameservers, domain, search, options };
}
