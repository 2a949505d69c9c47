import { expect, test } from 'bun:test';
import { readlinkSync } from 'node:fs';
import { ERRNO, ErrnoError, FlannelError } from '#base/errors.ts';
import { mount, MNT_DETACH, MS, unmount } from '#ffi/file.ts';
import { Netns, unshareNetns, withNetns } from '#ffi/netns.ts';
import { AF, SOCK, Socket } from '#ffi/socket.ts';
import { Ip } from '#net/ip.ts';
import { Mac } from '#net/mac.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import { addFdb } from '#rtnetlink/requests.ts';
import { describeInNetns, must, NamedNetns } from '../support/netns.ts';

/** The identity of this thread's network namespace. */
const here = () => readlinkSync('/proc/thread-self/ns/net');

function thrown(action: () => void): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return undefined;
}

describeInNetns(import.meta.path, 'network namespaces', () => {
  test('withNetns is there inside and home afterwards', () => {
    using pod = NamedNetns.create('flffi');
    using netns = Netns.open(pod.path);
    const home = here();
    const inside = withNetns(netns, here);
    expect(inside).not.toBe(home);
    expect(here()).toBe(home);
    expect(pod.exec(['readlink', '/proc/self/ns/net']).trim()).toBe(inside);
  });

  test('withNetns comes home when the work throws', () => {
    using pod = NamedNetns.create('flffi');
    using netns = Netns.open(pod.path);
    const home = here();
    const problem = new Error('inside');
    const error = thrown(() =>
      withNetns(netns, () => {
        throw problem;
      }),
    );
    expect(error).toBe(problem);
    expect(here()).toBe(home);
  });

  test('withNetns inside withNetns', () => {
    using a = NamedNetns.create('flffi');
    using b = NamedNetns.create('flffi');
    using netnsA = Netns.open(a.path);
    using netnsB = Netns.open(b.path);
    const home = here();
    const seen = withNetns(netnsA, () => {
      const outer = here();
      const inner = withNetns(netnsB, here);
      return { outer, inner, outerAgain: here() };
    });
    expect(seen.outer).toBe(seen.outerAgain);
    expect(new Set([home, seen.outer, seen.inner]).size).toBe(3);
    expect(here()).toBe(home);
  });

  test('withNetns refuses asynchronous work, and is home then too', () => {
    using pod = NamedNetns.create('flffi');
    using netns = Netns.open(pod.path);
    const home = here();
    const error = thrown(() => void withNetns(netns, () => Promise.resolve(1)));
    expect(error).toBeInstanceOf(FlannelError);
    expect(error).toMatchObject({ actor: 'bug', message: 'withNetns must not be given asynchronous work' });
    expect(here()).toBe(home);
  });

  test('a file that is not a namespace, and one that is not there', () => {
    using file = Netns.open('/etc/hostname');
    const home = here();
    expect(() => withNetns(file, here)).toThrow(
      'enter network namespace /etc/hostname: invalid argument (EINVAL): the file is not a network namespace',
    );
    expect(here()).toBe(home);
    expect(thrown(() => Netns.open('/run/netns/not-there'))).toMatchObject({
      errno: ERRNO.ENOENT,
      call: 'open network namespace /run/netns/not-there',
    });
    expect(Netns.tryOpen('/run/netns/not-there')).toBeUndefined();
    expect(thrown(() => Netns.tryOpen('/run/netns/a\0b'))).toBeInstanceOf(FlannelError);
  });

  test('an open namespace outlives its name; a closed one cannot be entered', () => {
    const pod = NamedNetns.create('flffi');
    const netns = Netns.open(pod.path);
    pod[Symbol.dispose]();
    expect(withNetns(netns, () => Rtnetlink.open()).links().length).toBe(1);
    netns.close();
    netns.close();
    expect(thrown(() => withNetns(netns, here))).toMatchObject({ errno: ERRNO.EBADF });
  });

  test('a socket stays where it was opened', () => {
    using pod = NamedNetns.create('flffi');
    using netns = Netns.open(pod.path);
    using inside = Rtnetlink.openIn(netns);
    inside.createLink({ name: 'only-here', kind: { type: 'bridge' } });
    using outside = Rtnetlink.open();
    expect(outside.link('only-here')).toBeUndefined();
    expect(withNetns(netns, () => outside.link('only-here'))).toBeUndefined();
    expect(inside.link('only-here')?.name).toBe('only-here');
  });

  test('a fresh namespace for this thread', () => {
    using home = Netns.current();
    const before = here();
    unshareNetns();
    expect(here()).not.toBe(before);
    withNetns(home, () => expect(here()).toBe(before));
  });
});

describeInNetns(
  import.meta.path,
  'mounts',
  () => {
    test('bind and detach', () => {
      const directory = must(['mktemp', '-d', '/tmp/flannel-mount-XXXXXX']).trim();
      try {
        must(['mkdir', `${directory}/a`, `${directory}/b`]);
        must(['touch', `${directory}/a/inside`]);
        mount({ source: `${directory}/a`, target: `${directory}/b`, type: '', flags: MS.BIND });
        expect(must(['ls', `${directory}/b`]).trim()).toBe('inside');
        unmount(`${directory}/b`, MNT_DETACH);
        expect(must(['ls', `${directory}/b`]).trim()).toBe('');
        expect(thrown(() => unmount(`${directory}/b`))).toMatchObject({
          call: `unmount ${directory}/b`,
          errno: 22,
        });
        expect(thrown(() => unmount(`${directory}/b`))).toBeInstanceOf(ErrnoError);
      } finally {
        must(['rm', '-r', directory]);
      }
    });
  },
  { mounts: true },
);

describeInNetns(import.meta.path, 'lifetime of what C is given', () => {
  // Strings and arrays made for one call only: nothing but the call itself keeps them.
  test('strings', () => {
    for (let i = 0; i < 150; i += 1) {
      const missing = `/run/${'x'.repeat(i)}/${i}`;
      const error = thrown(() => Netns.open(missing));
      Bun.gc(true);
      expect(error).toMatchObject({ errno: ERRNO.ENOENT, call: `open network namespace ${missing}` });
      using netns = Netns.open(['', 'proc', 'self', 'ns', 'net'].join('/'.repeat(i + 1)));
      Bun.gc(true);
      expect(withNetns(netns, here)).toBe(here());
    }
  });

  test('buffers', () => {
    using a = Socket.open(AF.INET, SOCK.DGRAM, 0);
    must(['ip', 'link', 'set', 'lo', 'up']);
    a.bind(Uint8Array.of(AF.INET, 0, 0, 0, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0));
    for (let i = 1; i <= 150; i += 1) {
      a.sendTo(new Uint8Array(i * 7).fill(i), a.name());
      Bun.gc(true);
      const buffer = new Uint8Array(4096);
      const from = new Uint8Array(16);
      expect(a.receiveFrom(buffer, 0, from)).toEqual({ length: i * 7 });
      Bun.gc(true);
      expect(buffer.subarray(0, i * 7).every((byte) => byte === i)).toBe(true);
      expect(buffer.subarray(i * 7).every((byte) => byte === 0)).toBe(true);
      expect(from.toHex()).toBe(a.name().toHex());
    }
  });

  test('requests and answers of netlink', () => {
    using client = Rtnetlink.open();
    client.createLink({ name: 'vx', up: true, kind: { type: 'vxlan', vni: 1, port: 8472, learning: false } });
    const link = client.link('vx')?.index ?? 0;
    const dst = Ip.parse('192.0.2.1');
    const macs = Array.from({ length: 60 }, (_, i) => `02:00:00:00:00:${(i + 16).toString(16)}`);
    for (const mac of macs) {
      const [error] = client.apply([addFdb({ link, mac: Mac.parse(mac), dst })]);
      Bun.gc(true);
      expect(error).toBeUndefined();
      expect(client.link('vx')?.name).toBe('vx');
    }
    Bun.gc(true);
    expect(
      client
        .fdb({ link })
        .map(({ mac }) => String(mac))
        .toSorted(),
    ).toEqual(macs.toSorted());
  });
});
