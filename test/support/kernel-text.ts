import { run } from './netns.ts';

/** What a program prints, without indices, counters, timers and what only this kernel build says. */
function shown(argv: readonly string[]): string {
  const { code, stdout, stderr } = run(argv);
  return code === 0 ? stdout : `${argv.join(' ')}: ${stderr}`;
}

/** Takes away what differs from machine to machine and says nothing about the overlay. */
export function normalise(text: string): string {
  return text
    .replaceAll(/^\d+: /gm, '')
    .replaceAll(/ (numtxqueues|promiscuity|qlen|group) [^\n]*/g, '')
    .replaceAll(' tentative', '')
    .replaceAll(/\[\d+:\d+\]/g, '[0:0]')
    .replaceAll(/packets \d+ bytes \d+/g, 'packets 0 bytes 0')
    .replaceAll(/^#.*\n/gm, '')
    .replaceAll(/[ \t]+$/gm, '')
    .replaceAll(/\n+/g, '\n')
    .trim();
}

/** Lines about devices that are not the overlay's: bridge, pods, underlay. */
export function overlayRoutes(text: string): string {
  const lines = normalise(text).split('\n');
  return lines
    .filter((line) => !/ dev (cni0|veth\w*|wire|lo)( |$)/.test(line))
    .filter((line) => !/ dev eth0 proto kernel/.test(line) && !line.startsWith('default'))
    .sort()
    .join('\n');
}

/** One device as `ip` and `bridge` show it, by the names of the recordings. */
export function deviceText(name: string): Record<string, string> {
  return {
    [`link-${name}`]: normalise(shown(['ip', '-d', 'link', 'show', name])),
    [`addr-${name}`]: normalise(shown(['ip', 'addr', 'show', 'dev', name])),
    [`neigh-${name}`]: sorted(shown(['ip', 'neigh', 'show', 'nud', 'permanent', 'dev', name])),
    [`neigh6-${name}`]: sorted(shown(['ip', '-6', 'neigh', 'show', 'nud', 'permanent', 'dev', name])),
    [`fdb-${name}`]: sorted(shown(['bridge', 'fdb', 'show', 'dev', name])),
  };
}

function sorted(text: string): string {
  return normalise(text).split('\n').sort().join('\n');
}

/** Traffic rules of both tools. */
export function rulesText(): Record<string, string> {
  return {
    nft: normalise(shown(['nft', 'list', 'ruleset'])),
    'iptables-save': normalise(shown(['iptables-save'])),
    'ip6tables-save': normalise(shown(['ip6tables-save'])),
  };
}

export function routesText(): Record<string, string> {
  return {
    route: overlayRoutes(shown(['ip', 'route', 'show'])),
    route6: overlayRoutes(shown(['ip', '-6', 'route', 'show'])),
  };
}

/** Devices, routes and nftables of the overlay. Link-local addresses come a while after their device: left out. */
export function overlayState(devices: readonly string[]): Record<string, string> {
  // Each table by itself: the order of a whole ruleset is that of creation.
  const tables = ['ip flannel-ipv4', 'ip6 flannel-ipv6'].map((table) => {
    return shown(['nft', 'list', 'table', ...table.split(' ')]);
  });
  const state: Record<string, string> = { ...routesText(), nft: normalise(tables.join('\n')) };
  for (const name of devices) Object.assign(state, deviceText(name));
  const linkLocal = /^.*\bfe80::[^\n]*\n?(\s+valid_lft[^\n]*\n?)?/gm;
  return Object.fromEntries(
    Object.entries(state).map(([key, text]) => [key, text.replaceAll(linkLocal, '').trim()]),
  );
}
