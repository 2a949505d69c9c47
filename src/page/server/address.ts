import { ConfigError } from '#base/errors.ts';
import { Ip } from '#net/ip.ts';

/** Where a page is served. */
export interface PageAddress {
  readonly ip: Ip;
  readonly port: number;
}

const LOOPBACK = Ip.parse('127.0.0.1');

/**
 * Reads `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`, or a port alone, which means loopback. Port 0: one that is free. Throws
 * ConfigError that names `flag`.
 */
export function parsePageAddress(text: string, flag: string): PageAddress {
  const parts = /^(?:(?:(?<plain>[^:[\]]*)|\[(?<bracketed>[^[\]]*)\]):)?(?<port>\d{1,5})$/.exec(text)?.groups;
  const wrong = (why: string) =>
    new ConfigError(flag, `${JSON.stringify(text.slice(0, 64))} ${why}`, {
      cure: 'Give an IP address and a port, for instance 127.0.0.1:8474 or [::1]:8474',
    });
  if (parts === undefined) throw wrong('is no address with a port');
  const port = Number(parts['port']);
  if (port > 65_535) throw wrong('has a port above 65535');
  const { plain, bracketed } = parts;
  const name = bracketed ?? plain;
  if (name === undefined || name === 'localhost') return { ip: LOOPBACK, port };
  const ip = Ip.tryParse(name);
  if (ip === undefined) throw wrong('has no IP address in front of the port');
  if ((ip.family === 'ipv6') !== (bracketed !== undefined)) throw wrong('is no address with a port');
  return { ip, port };
}

/** `http://127.0.0.1:8474/` */
export function pageUrl({ ip, port }: PageAddress): string {
  return `http://${ip.family === 'ipv6' ? `[${ip}]` : ip}:${port}/`;
}
