import { createLogger, type Logger } from '#base/log.ts';
import { parseNetworkConfig, type NetworkConfig } from '#subnet/config.ts';

/** A logger whose lines a test reads: level and text, without the time. */
export function recordedLog(): { readonly log: Logger; readonly lines: string[] } {
  const lines: string[] = [];
  const write = (line: string) => lines.push(line.replace(/^\S+ /, ''));
  return { log: createLogger({ level: 'info', format: 'text', write, now: () => new Date(0) }), lines };
}

/** A dual-stack configuration. */
export function dualConfig(): NetworkConfig {
  const text = JSON.stringify({
    Network: '10.244.0.0/16',
    EnableIPv6: true,
    IPv6Network: '2001:cafe:42::/56',
    Backend: { Type: 'vxlan' },
  });
  return parseNetworkConfig(text, { source: 'net-conf.json' }).config;
}
