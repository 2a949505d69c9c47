import { describe, expect, test } from 'bun:test';
import { firstAddress, FLANNEL_CONFLIST, parseConflist, pluginConfiguration } from './conflist.ts';

const conflist = parseConflist('10-flannel.conflist', JSON.stringify(FLANNEL_CONFLIST));

describe('parseConflist', () => {
  test('reads what the manifest installs', () => {
    expect(conflist.name).toBe('cbr0');
    expect(conflist.plugins.map((plugin) => plugin.type)).toEqual(['flannel', 'portmap']);
  });

  test('names what is wrong', () => {
    const read = (text: string) => () => parseConflist('x.conflist', text);
    expect(read('{')).toThrow('x.conflist: is not JSON');
    expect(read('[]')).toThrow('x.conflist: is not a JSON object');
    expect(read('{"name":"a","cniVersion":"1.0.0","plugins":[]}')).toThrow(
      'x.conflist: plugins: must be a list',
    );
    expect(read('{"name":"a","cniVersion":"1.0.0","plugins":[{"type":"../sh"}]}')).toThrow('plugins[0].type');
    expect(read('{"cniVersion":"1.0.0","plugins":[{"type":"flannel"}]}')).toThrow('x.conflist: name');
  });
});

describe('pluginConfiguration', () => {
  const base = { conflist, prevResult: undefined, capabilityArgs: { portMappings: [{ hostPort: 80 }] } };

  test('the first plugin gets name and version, no capability it did not declare', () => {
    expect(pluginConfiguration({ ...base, index: 0 })).toEqual({
      type: 'flannel',
      delegate: { hairpinMode: true, isDefaultGateway: true },
      name: 'cbr0',
      cniVersion: '0.3.1',
    });
  });

  test('a declared capability becomes runtimeConfig, and the result before is handed on', () => {
    const prevResult = { ips: [{ address: '10.244.1.2/24' }] };
    expect(pluginConfiguration({ ...base, index: 1, prevResult })).toEqual({
      type: 'portmap',
      name: 'cbr0',
      cniVersion: '0.3.1',
      runtimeConfig: { portMappings: [{ hostPort: 80 }] },
      prevResult,
    });
  });
});

test('firstAddress', () => {
  expect(firstAddress({ ips: [{ address: '10.244.1.2/24' }, { address: 'fd00::2/64' }] })).toBe('10.244.1.2');
  expect(firstAddress({ ips: [] })).toBeUndefined();
  expect(firstAddress({})).toBeUndefined();
});
