import { Ip } from '#net/ip.ts';
import { Refusal } from './refusal.ts';

/** Longest address, characters: a peer's name has at most 253, each up to nine when it is encoded. */
const URL_LIMIT = 4096;

/** Whether a name or address without port, in the form of the Host header, is one that the page is served under. */
export type HostCheck = (host: string) => boolean;

/**
 * The names of a server that listens at `ip`: `localhost`, loopback addresses, and `ip` itself or, when that is 0.0.0.0 or ::,
 * every address. Never another name: a page of elsewhere could point its own name here and read what we answer (DNS rebinding).
 * The port is not looked at: it is another one behind `kubectl port-forward` and `ssh -L`.
 */
export function servedAt(ip: Ip): HostCheck {
  const everywhere = ip.isUnspecified();
  return (host) => {
    if (host.toLowerCase() === 'localhost') return true;
    const asked = Ip.tryParse(host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host);
    return asked !== undefined && (everywhere || asked.isLoopback() || asked.equals(ip));
  };
}

/**
 * Throws Refusal for what no browser of ours asks: another host's name, another site's page, a path without end. A POST must come
 * from a page of this very server.
 */
export function guard(request: Request, isServed: HostCheck): void {
  if (request.url.length > URL_LIMIT) throw new Refusal(414, { error: 'the address is too long' });
  const host = request.headers.get('host') ?? '';
  if (!isServed(host.replace(/:\d*$/, '')))
    throw new Refusal(421, {
      error: 'this page is not served under that name',
      cure: 'Open it by IP address or as localhost, for instance through kubectl port-forward or ssh -L',
    });
  const site = request.headers.get('sec-fetch-site');
  const path = new URL(request.url).pathname;
  if (path.startsWith('/api/') && site !== null && site !== 'same-origin' && site !== 'none') throw foreign();
  if (request.method === 'POST' && !isSameOrigin(request.headers.get('origin'), host)) throw foreign();
}

function isSameOrigin(origin: string | null, host: string): boolean {
  return origin !== null && URL.canParse(origin) && new URL(origin).host === new URL(`http://${host}`).host;
}

function foreign(): Refusal {
  return new Refusal(403, {
    error: 'only the page itself may ask this',
    cure: 'Open the page and use it there',
  });
}
