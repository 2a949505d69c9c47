import { expect, test } from 'bun:test';
import { createLogger } from '#base/log.ts';
import { ensureBridgeNetfilter } from './bridge-netfilter.ts';

/** What is said for these sysctls; `after`: what loading the module makes of them. */
function said(values: Record<string, string>, after?: Record<string, string>, writable = false): string[] {
  const lines: string[] = [];
  const now = () => new Date(0);
  const log = createLogger({
    level: 'info',
    format: 'text',
    write: (line) => lines.push(line.slice(25)),
    now,
  });
  let current = values;
  const loadModule = () => {
    if (after === undefined) return false;
    current = after;
    return true;
  };
  const write = (path: string, value: string) => {
    if (writable) current = { ...current, [path]: value };
    return writable;
  };
  ensureBridgeNetfilter(['ipv4'], log, { read: (path) => current[path], write, loadModule });
  return lines;
}

const KEY = 'net/bridge/bridge-nf-call-iptables';

test('loaded and on: nothing is said', () => {
  expect(said({ [KEY]: '1' })).toEqual([]);
});

test('not loaded: it is loaded', () => {
  expect(said({}, { [KEY]: '1' })).toEqual(['INFO  loaded the kernel module br_netfilter']);
});

test('not to be had, or switched off: told with the cure', () => {
  expect(said({}).join()).toContain('cure="modprobe br_netfilter');
  expect(said({ [KEY]: '0' }, undefined, true)).toEqual([]);
  expect(said({ [KEY]: '0' }).join()).toContain('cure="sysctl -w net.bridge.bridge-nf-call-iptables=1"');
});
