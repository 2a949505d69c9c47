import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { systemClock } from '#base/clock.ts';
import { createLogger } from '#base/log.ts';
import { createEtcdClient, type EtcdClient } from '#clients/etcd/client.ts';
import { ManualClock } from '#daemon/manual-clock.ts';
import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import { type NetworkConfig, parseNetworkConfig } from '#subnet/config.ts';
import { LeaseLost } from '#subnet/etcd/holder.ts';
import { createEtcdManager, type EtcdManagerOptions } from '#subnet/etcd/manager.ts';
import type { PerFamily } from '#subnet/lease.ts';
import type { LeaseEvent, OwnAttributes, OwnRecord, SubnetManager } from '#subnet/manager.ts';
import { silentObserver } from '#subnet/observer.ts';
import { EtcdCluster } from '../support/etcd.ts';
import { eventually } from '../support/eventually.ts';

const PREFIX = '/coreos.com/network';
const SUBNETS = `${PREFIX}/subnets/`;
const CONFIG = '{"Network":"10.5.0.0/16"}';

let etcd: EtcdCluster;
const stop = new AbortController();

beforeAll(async () => {
  etcd = await EtcdCluster.start();
});
afterAll(async () => {
  stop.abort(new Error('the tests are over'));
  await etcd[Symbol.asyncDispose]();
});
beforeEach(() => {
  etcd.ctl('del', '--prefix', PREFIX);
  etcd.ctl('put', `${PREFIX}/config`, CONFIG);
});

function parse(text: string): NetworkConfig {
  return parseNetworkConfig(text, { source: 'etcd', manager: 'etcd' }).config;
}

const macOf = (ip: string) => `02:00:00:00:00:${Number(ip.split('.').at(-1)).toString(16).padStart(2, '0')}`;

interface NodeOptions {
  readonly previous?: string;
  readonly config?: string;
  readonly more?: Partial<EtcdManagerOptions>;
}

/** What a node is to the store: a manager and what it hears. */
class Node {
  readonly ip: string;
  readonly options: NodeOptions;
  readonly manager: SubnetManager;
  readonly events: LeaseEvent[] = [];
  readonly configs: string[] = [];
  readonly attributes: OwnAttributes;
  readonly #stop = new AbortController();
  #log = '';
  own: OwnRecord | undefined;
  watching: Promise<unknown> | undefined;

  constructor(ip: string, options: NodeOptions = {}) {
    this.ip = ip;
    this.options = options;
    const { previous, more } = options;
    const log = createLogger({
      level: 'debug',
      format: 'text',
      write: (line) => (this.#log += `${line}\n`),
      now: () => new Date(),
    });
    const backendData = { ipv4: `{"VNI":1,"VtepMAC":"${macOf(ip)}"}` };
    this.attributes = { backendType: 'vxlan', publicIp: { ipv4: Ip.parse(ip) }, backendData };
    this.manager = createEtcdManager({
      client: createEtcdClient({ endpoints: etcd.endpoints, username: '' }),
      prefix: PREFIX,
      log,
      clock: systemClock,
      random: Math.random,
      observer: silentObserver,
      renewMargin: 3_600_000,
      previous: previous === undefined ? {} : { ipv4: Cidr.parse(previous) },
      publicIps: (): Promise<PerFamily<Ip>> => Promise.resolve({ ipv4: Ip.parse(ip) }),
      draft: () => this.attributes,
      relax: () => {},
      configText: options.config ?? CONFIG,
      onConfig: (text) => void this.configs.push(text),
      ...more,
    });
  }

  get log(): string {
    return this.#log;
  }

  get subnet(): string {
    return String(this.own?.subnets.ipv4);
  }

  async start(): Promise<this> {
    this.own = await this.manager.own(parse(this.options.config ?? CONFIG), this.signal);
    await this.manager.publish(this.attributes, this.signal);
    this.watching = this.manager
      .watch((event) => void this.events.push(event), this.signal)
      .catch((error: unknown) => error);
    await eventually(() => expect(this.events[0]?.type).toBe('reset'));
    return this;
  }

  get signal(): AbortSignal {
    return AbortSignal.any([stop.signal, this.#stop.signal]);
  }

  end(): void {
    this.#stop.abort(new Error('the node ends'));
  }

  /** Peers as the events told them, by subnet. */
  peers(): Record<string, string> {
    const peers = new Map<string, string>();
    for (const event of this.events) {
      if (event.type === 'delete') peers.delete(event.name);
      else if (event.type === 'put') peers.set(event.lease.name, String(event.lease.families.ipv4?.publicIp));
      else {
        peers.clear();
        for (const lease of event.leases.values())
          peers.set(lease.name, String(lease.families.ipv4?.publicIp));
      }
    }
    return Object.fromEntries(peers);
  }
}

const leases = () => etcd.all(SUBNETS);
const name = (node: Node) => node.subnet.replace('/', '-');
const valueOf = (ip: string, type = 'vxlan') =>
  `{"PublicIP":"${ip}","PublicIPv6":null,"BackendType":"${type}","BackendData":{"VNI":1,"VtepMAC":"${macOf(ip)}"}}`;

/** The client as an object whose methods can be replaced. */
function bound(real: EtcdClient): EtcdClient {
  return {
    endpoint: real.endpoint,
    get: (...args) => real.get(...args),
    list: (...args) => real.list(...args),
    putIf: (...args) => real.putIf(...args),
    deleteIf: (...args) => real.deleteIf(...args),
    grant: (...args) => real.grant(...args),
    keepAlive: (...args) => real.keepAlive(...args),
    revoke: (...args) => real.revoke(...args),
    watch: (...args) => real.watch(...args),
    close: () => real.close(),
  };
}

describe('getting a subnet', () => {
  test('the value has the bytes of the original, below an etcd lease of a day', async () => {
    const node = await new Node('192.0.2.1').start();
    expect(leases()).toEqual(new Map([[SUBNETS + name(node), valueOf('192.0.2.1')]]));
    const keys = etcd.ctl('lease', 'list').trim().split('\n').slice(1);
    const ours = keys
      .map((id) => etcd.ctl('lease', 'timetolive', id, '--keys'))
      .find((text) => text.includes(name(node)));
    expect(ours).toContain('granted with TTL(86400s)');
    node.end();
  });

  test('the same again after a restart, also without subnet.env', async () => {
    const first = await new Node('192.0.2.1').start();
    first.end();
    const second = await new Node('192.0.2.1').start();
    expect(second.subnet).toBe(first.subnet);
    expect(second.own?.backendData.ipv4).toBe(`{"VNI":1,"VtepMAC":"${macOf('192.0.2.1')}"}`);
    expect(leases().size).toBe(1);
    second.end();
  });

  test('the previous subnet when it is free; the store wins when it is not', async () => {
    const first = await new Node('192.0.2.1', { previous: '10.5.200.0/24' }).start();
    expect(first.subnet).toBe('10.5.200.0/24');
    const second = await new Node('192.0.2.2', { previous: '10.5.200.0/24' }).start();
    expect(second.subnet).not.toBe('10.5.200.0/24');
    first.end();
    second.end();
  });

  test('a reservation is used and never given a time to live', async () => {
    etcd.ctl('put', `${SUBNETS}10.5.66.0-24`, '{"PublicIP":"192.0.2.1"}');
    const node = await new Node('192.0.2.1').start();
    expect(node.subnet).toBe('10.5.66.0/24');
    expect(leases().get(`${SUBNETS}10.5.66.0-24`)).toBe(valueOf('192.0.2.1'));
    expect(etcd.ctl('get', `${SUBNETS}10.5.66.0-24`, '-w', 'json')).not.toContain('"lease"');
    node.end();
  });

  test('a lease of ours that no longer fits is replaced', async () => {
    etcd.ctl('put', `${SUBNETS}10.9.66.0-24`, valueOf('192.0.2.1'), '--lease', grant());
    const node = await new Node('192.0.2.1').start();
    expect([...leases().keys()]).toEqual([SUBNETS + name(node)]);
    expect(node.subnet).toStartWith('10.5.');
    node.end();
  });

  test('a hundred agents at once on an empty prefix: all get one, none twice', async () => {
    const nodes = Array.from({ length: 100 }, (_, i) => new Node(`192.0.2.${i + 1}`));
    await Promise.all(
      nodes.map((node) => node.manager.own(parse(CONFIG), node.signal).then((own) => (node.own = own))),
    );
    const subnets = new Set(nodes.map((node) => node.subnet));
    expect(subnets.size).toBe(100);
    const kept = leases();
    for (const node of nodes) expect(kept.get(SUBNETS + name(node))).toBe(valueOf(node.ip));
    expect(kept.size).toBe(100);
  });

  test('none is free: it waits, says so, and takes the first that is', async () => {
    const config = '{"Network":"10.5.0.0/28"}';
    for (const last of [4, 8, 12]) etcd.ctl('put', `${SUBNETS}10.5.0.${last}-30`, valueOf(`192.0.2.${last}`));
    const node = new Node('192.0.2.1', { config });
    const started = node.start();
    await eventually(() => expect(node.log).toContain('no ipv4 subnet is free'));
    etcd.ctl('del', `${SUBNETS}10.5.0.8-30`);
    await started;
    expect(node.subnet).toBe('10.5.0.8/30');
    node.end();
  });

  test('IPv6 as well, and IPv6 alone', async () => {
    const both = '{"Network":"10.5.0.0/16","EnableIPv6":true,"IPv6Network":"fd05::/56"}';
    const alone = '{"EnableIPv4":false,"EnableIPv6":true,"IPv6Network":"fd05::/56"}';
    const ipv6 = Ip.parse('fd00::1');
    const first = new Node('192.0.2.1', {
      more: { publicIps: () => Promise.resolve({ ipv4: Ip.parse('192.0.2.1'), ipv6 }) },
    });
    const own = await first.manager.own(parse(both), first.signal);
    expect([...leases().keys()]).toEqual([`${SUBNETS}${own.subnets.ipv4?.ip}-24&${own.subnets.ipv6?.ip}-64`]);
    const other = { ipv6: Ip.parse('fd00::2') };
    const draft = () => ({ backendType: 'vxlan', publicIp: other, backendData: { ipv6: 'null' } });
    const second = new Node('192.0.2.2', { more: { publicIps: () => Promise.resolve(other), draft } });
    const record = await second.manager.own(parse(alone), second.signal);
    expect(record.subnets.ipv4).toBeUndefined();
    const key = `${SUBNETS}0.0.0.0-0&${record.subnets.ipv6?.ip}-64`;
    expect(leases().get(key)).toBe('{"PublicIP":"0.0.0.0","PublicIPv6":"fd00::2","BackendType":"vxlan"}');
  });
});

function grant(ttl = '600'): string {
  return etcd.ctl('lease', 'grant', ttl).split(' ')[1] ?? '';
}

describe('following the others', () => {
  test('they come, change, go and expire; rubbish is skipped, once, in words', async () => {
    const node = await new Node('192.0.2.1').start();
    expect(node.peers()).toEqual({});
    etcd.ctl('put', `${SUBNETS}10.5.7.0-24`, valueOf('192.0.2.7'), '--lease', grant('1'));
    etcd.ctl('put', `${SUBNETS}10.5.8.0-24`, valueOf('192.0.2.8'));
    await eventually(() => expect(Object.keys(node.peers())).toHaveLength(2));
    etcd.ctl('put', `${SUBNETS}10.5.8.0-24`, valueOf('192.0.2.9'));
    await eventually(() => expect(node.peers()['10.5.8.0-24']).toBe('192.0.2.9'));
    await eventually(() => expect(node.peers()).toEqual({ '10.5.8.0-24': '192.0.2.9' }));
    const seen = node.events.length;
    for (const value of ['{', '{"PublicIP":7}', '']) etcd.ctl('put', `${SUBNETS}10.5.9.0-24`, value);
    etcd.ctl('put', `${SUBNETS}10.5.9.0-24`, '');
    etcd.ctl('put', `${SUBNETS}10.6.9.0-24`, valueOf('192.0.2.9'));
    etcd.ctl('put', `${SUBNETS}../../x`, 'y');
    etcd.ctl('put', `${SUBNETS}10.5.8.0-24`, valueOf('192.0.2.9'));
    await eventually(() => expect(node.log).toContain('10.6.9.0/24 lies outside the pod network'));
    expect(node.events).toHaveLength(seen);
    expect(node.log.match(/lease skipped lease=10.5.9.0-24/g)).toHaveLength(3);
    etcd.ctl('del', `${SUBNETS}10.5.8.0-24`);
    await eventually(() => expect(node.peers()).toEqual({}));
    node.end();
  });

  test('history that was compacted while the watch was away: listed again, whole leases compared', async () => {
    const real = createEtcdClient({ endpoints: etcd.endpoints, username: '' });
    let gate = Promise.resolve();
    const watch: EtcdClient['watch'] = (options) => gate.then(() => real.watch(options));
    const node = await new Node('192.0.2.1', { more: { client: { ...bound(real), watch } } }).start();
    etcd.ctl('put', `${SUBNETS}10.5.7.0-24`, valueOf('192.0.2.7'));
    etcd.ctl('put', `${SUBNETS}10.5.8.0-24`, valueOf('192.0.2.8'));
    await eventually(() => expect(Object.keys(node.peers())).toHaveLength(2));
    const open = Promise.withResolvers<void>();
    gate = open.promise;
    await etcd.kill();
    await etcd.restart();
    etcd.ctl('del', `${SUBNETS}10.5.7.0-24`);
    etcd.ctl('put', `${SUBNETS}10.5.8.0-24`, valueOf('192.0.2.88'));
    const { header } = JSON.parse(etcd.ctl('get', '/x', '-w', 'json')) as { header: { revision: number } };
    etcd.ctl('compact', String(header.revision));
    const seen = node.events.length;
    open.resolve();
    await eventually(() => expect(node.peers()).toEqual({ '10.5.8.0-24': '192.0.2.88' }));
    expect(node.log).toContain('the history in etcd is compacted; listing the leases again');
    expect(node.events.slice(seen).map(({ type }) => type)).toEqual(['reset']);
    node.end();
  });

  test('etcd away and back: nothing is forgotten, little is asked', async () => {
    const node = await new Node('192.0.2.1').start();
    etcd.ctl('put', `${SUBNETS}10.5.8.0-24`, valueOf('192.0.2.8'));
    await eventually(() => expect(node.peers()).toEqual({ '10.5.8.0-24': '192.0.2.8' }));
    const seen = node.events.length;
    await etcd.kill();
    await eventually(() => expect(node.log).toContain('etcd cannot be followed, trying again'));
    await Bun.sleep(1500);
    expect(node.events).toHaveLength(seen);
    await etcd.restart();
    etcd.ctl('put', `${SUBNETS}10.5.9.0-24`, valueOf('192.0.2.9'));
    await eventually(() => expect(Object.keys(node.peers())).toHaveLength(2));
    expect(node.events.slice(seen).map(({ type }) => type)).toEqual(['put']);
    node.end();
  });

  test('another configuration is passed on; one that is removed changes nothing', async () => {
    const node = await new Node('192.0.2.1').start();
    etcd.ctl('put', `${PREFIX}/config`, CONFIG);
    etcd.ctl('put', `${PREFIX}/config`, '{"Network":"10.5.0.0/16","Backend":{"Type":"host-gw"}}');
    await eventually(() => expect(node.configs).toHaveLength(1));
    etcd.ctl('del', `${PREFIX}/config`);
    await eventually(() => expect(node.log).toContain('the configuration was removed from etcd'));
    expect(node.configs).toHaveLength(1);
    node.end();
  });
});

describe('holding the lease', () => {
  test('removed: it ends with an error that says what to do', async () => {
    const node = await new Node('192.0.2.1').start();
    etcd.ctl('del', SUBNETS + name(node));
    const error = await node.watching;
    expect(error).toBeInstanceOf(LeaseLost);
    expect(String(error)).toContain('was removed or has expired');
  });

  test('removed while etcd was away: it ends, too', async () => {
    const node = await new Node('192.0.2.1').start();
    await etcd.kill();
    await Bun.sleep(200);
    await etcd.restart();
    etcd.ctl('del', SUBNETS + name(node));
    expect(await node.watching).toBeInstanceOf(LeaseLost);
  });

  test('taken over by another node: it ends', async () => {
    const node = await new Node('192.0.2.1').start();
    const key = SUBNETS + name(node);
    etcd.ctl('put', key, valueOf('192.0.2.50'), '--lease', grant());
    const error = await node.watching;
    expect(String(error)).toContain('belongs to another node now');
    expect(leases().get(key)).toBe(valueOf('192.0.2.50'));
  });

  test('its value changed by somebody: written again, below the lease it has', async () => {
    const node = await new Node('192.0.2.1').start();
    const key = SUBNETS + name(node);
    const lease = () => /"lease":(-?\d+)/.exec(etcd.ctl('get', key, '-w', 'json'))?.[1];
    const before = lease();
    etcd.ctl('put', '--ignore-lease', key, '{"PublicIP":"192.0.2.1"}');
    await eventually(() => expect(leases().get(key)).toBe(valueOf('192.0.2.1')));
    expect(lease()).toBe(before);
    expect(node.log).toContain('was changed by somebody else');
    node.end();
  });

  test('renewed at expiry minus the margin, on a clock of its own; a lease that is gone then ends it', async () => {
    const clock = new ManualClock();
    const renewals: number[] = [];
    const real = createEtcdClient({ endpoints: etcd.endpoints, username: '' });
    const client: EtcdClient = {
      ...bound(real),
      keepAlive: (...args) => {
        renewals.push(clock.now());
        return real.keepAlive(...args);
      },
    };
    const node = await new Node('192.0.2.1', { more: { clock, client, random: () => 0.5 } }).start();
    const hour = 3_600_000;
    /** Steps of the holder's period, each with time for a real answer. */
    const pass = async (ms: number) => {
      await clock.advance(ms - 60_000);
      for (let i = 0; i < 4; i += 1) {
        await clock.advance(20_000);
        await Bun.sleep(30);
      }
    };
    await pass(22.9 * hour);
    expect(renewals).toEqual([]);
    await pass(0.2 * hour);
    expect(renewals).toHaveLength(1);
    expect(renewals[0]).toBeGreaterThanOrEqual(23 * hour);
    await eventually(() => expect(node.log).toContain('lease renewed'));
    etcd.ctl(
      'lease',
      'revoke',
      BigInt(/"lease":(-?\d+)/.exec(etcd.ctl('get', SUBNETS + name(node), '-w', 'json'))?.[1] ?? '').toString(
        16,
      ),
    );
    expect(await node.watching).toBeInstanceOf(LeaseLost);
  });

  test("etcd away until the lease is over: it ends, instead of serving a subnet that may be another node's", async () => {
    const clock = new ManualClock();
    const real = createEtcdClient({ endpoints: etcd.endpoints, username: '' });
    let away = false;
    const get: EtcdClient['get'] = (...args) =>
      away ? Promise.reject(new Error('away')) : real.get(...args);
    const client = { ...bound(real), get };
    const node = await new Node('192.0.2.1', { more: { clock, client, random: () => 0.5 } }).start();
    away = true;
    let ended = false;
    void node.watching?.then(() => (ended = true));
    await clock.advance(23.99 * 3_600_000);
    expect(ended).toBe(false);
    await clock.advance(0.02 * 3_600_000);
    expect(String(await node.watching)).toContain('could not be renewed before it expired');
  });
});
