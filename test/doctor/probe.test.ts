import { expect, test } from 'bun:test';
import { sendDatagrams } from '#cli/doctor/probe/datagram.ts';
import { sendEchoes, type EchoOutcome } from '#daemon/probe/echo.ts';
import { Ip } from '#net/ip.ts';
import { describeInNetns, must, NamedNetns } from '../support/netns.ts';

const WAITING = { timeoutMs: 600, signal: new AbortController().signal };
const FAMILIES = [
  { family: 'IPv4', from: '10.1.0.1', to: '10.2.0.2', nowhere: '10.2.0.3', none: '203.0.113.1', short: 60 },
  { family: 'IPv6', from: 'fd01::1', to: 'fd02::2', nowhere: 'fd02::3', none: 'fd99::1', short: 60 },
] as const;

/** This namespace, a router, and a far one behind a link of 1400 bytes. */
function network(): Disposable {
  const stack = new DisposableStack();
  const router = stack.use(NamedNetns.create('dr-r'));
  const far = stack.use(NamedNetns.create('dr-f'));
  stack.defer(() => void Bun.spawnSync(['ip', 'link', 'delete', 'near']));
  // Addresses are to be good at once, those of the links' own too.
  const noDad = ['sysctl', '-qw', 'net.ipv6.conf.default.accept_dad=0', 'net.ipv6.conf.all.accept_dad=0'];
  for (const each of [
    must,
    (argv: readonly string[]) => router.exec(argv),
    (argv: readonly string[]) => far.exec(argv),
  ])
    each(noDad);
  must(['ip', 'link', 'add', 'near', 'type', 'veth', 'peer', 'name', 'rnear', 'netns', router.name]);
  router.exec(['ip', 'link', 'add', 'rfar', 'type', 'veth', 'peer', 'name', 'far', 'netns', far.name]);
  const here = (argv: readonly string[]) => void must(argv);
  for (const [run, link, addresses] of [
    [here, 'near', ['10.1.0.1/24', 'fd01::1/64']],
    [router.exec.bind(router), 'rnear', ['10.1.0.2/24', 'fd01::2/64']],
    [router.exec.bind(router), 'rfar', ['10.2.0.1/24', 'fd02::1/64']],
    [far.exec.bind(far), 'far', ['10.2.0.2/24', 'fd02::2/64']],
  ] as const) {
    for (const address of addresses)
      run(['ip', 'addr', 'add', address, 'dev', link, ...(address.includes(':') ? ['nodad'] : [])]);
    run(['ip', 'link', 'set', link, 'up']);
  }
  for (const [run, via4, via6] of [
    [here, '10.1.0.2', 'fd01::2'],
    [far.exec.bind(far), '10.2.0.1', 'fd02::1'],
  ] as const) {
    run(['ip', 'route', 'add', via4.startsWith('10.1') ? '10.2.0.0/24' : '10.1.0.0/24', 'via', via4]);
    run(['ip', 'route', 'add', via6.startsWith('fd01') ? 'fd02::/64' : 'fd01::/64', 'via', via6]);
  }
  router.exec(['sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1']);
  router.exec(['ip', 'link', 'set', 'rfar', 'mtu', '1400']);
  far.exec(['ip', 'link', 'set', 'far', 'mtu', '1400']);
  return stack;
}

describeInNetns(import.meta.path, 'probes', () => {
  for (const { family, from, to, nowhere, none, short } of FAMILIES) {
    const [source, target] = [Ip.parse(from), Ip.parse(to)];
    const echo = (address: string, length: number) => ({ from: source, to: Ip.parse(address), length });

    test(`${family}: answers, routers that say how much they take, silence, no way there`, async () => {
      using _network = network();
      const lengths = [short, 1400, 1401, 1500, 1501].map((length) => echo(to, length));
      const outcomes = await sendEchoes([...lengths, echo(none, short)], WAITING);
      const answered: EchoOutcome = { outcome: 'answered', ms: expect.any(Number) };
      expect(outcomes.slice(0, 5)).toEqual([
        answered,
        answered,
        { outcome: 'too-big', mtu: 1400 },
        { outcome: 'too-big', mtu: 1400 },
        // Longer than the link of this machine.
        { outcome: 'too-big', mtu: 0 },
      ]);
      expect(outcomes[5]).toMatchObject({ outcome: 'refused', error: { code: 'ENETUNREACH' } });
      const [gone] = await sendEchoes([echo(nowhere, short)], { ...WAITING, timeoutMs: 300 });
      expect(gone).toEqual({ outcome: 'silence' });
    });

    test(`${family}: datagrams to closed ports, one with a checksum of its own`, async () => {
      using _network = network();
      expect(await sendDatagrams({ from: source, to: target }, WAITING)).toEqual({
        offloaded: true,
        whole: true,
      });
      const lost = await sendDatagrams({ from: source, to: Ip.parse(nowhere) }, WAITING);
      expect(lost).toEqual({ offloaded: false, whole: false });
      expect(await sendDatagrams({ from: source, to: Ip.parse(none) }, WAITING)).toBeUndefined();
    });
  }

  test('an address that is not ours cannot be sent from', async () => {
    const from = Ip.parse('192.0.2.9');
    const [outcome] = await sendEchoes([{ from, to: Ip.parse('192.0.2.1'), length: 60 }], WAITING);
    expect(outcome?.outcome).toBe('refused');
    expect(await sendDatagrams({ from, to: Ip.parse('192.0.2.1') }, WAITING)).toBeUndefined();
  });
});
