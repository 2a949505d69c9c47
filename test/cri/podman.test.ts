import { beforeAll, expect, test } from 'bun:test';
import { CLASSIC_LIST, coverFolders, installNode, makeRootfs, traces } from '../support/cni-machine.ts';
import { eventually } from '../support/eventually.ts';
import { describeInNetns, must, NamedNetns, run } from '../support/netns.ts';
import { Podman } from '../support/podman.ts';

const SERVER = ['/bin/httpd', '-f', '-p', '80', '-h', '/www'];
const NODE_IP = '192.0.2.1';

/** A machine outside the node, at the other end of a wire. */
function makeOutside(): NamedNetns {
  run(['ip', 'link', 'delete', 'wire']);
  const outside = NamedNetns.create('out');
  must(['ip', 'link', 'add', 'wire', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', outside.name]);
  must(['ip', 'addr', 'add', `${NODE_IP}/24`, 'dev', 'wire']);
  must(['ip', 'addr', 'add', '2001:db8::1/64', 'dev', 'wire', 'nodad']);
  must(['ip', 'link', 'set', 'wire', 'up']);
  outside.exec(['ip', 'addr', 'add', '192.0.2.9/24', 'dev', 'eth0']);
  outside.exec(['ip', 'addr', 'add', '2001:db8::9/64', 'dev', 'eth0', 'nodad']);
  outside.exec(['ip', 'link', 'set', 'eth0', 'up']);
  return outside;
}

/** What the page says; empty when nobody answers. */
function fetched(url: string, from?: NamedNetns): string {
  const script = `const r = await fetch("${url}", { signal: AbortSignal.timeout(2000) }); console.write(await r.text())`;
  const fetching = [process.execPath, '-e', script];
  return run(from === undefined ? fetching : ['ip', 'netns', 'exec', from.name, ...fetching]).stdout;
}

/** Traces of pods: the wire and its namespace belong to the test. */
function podTraces(): string[] {
  return traces().filter((line) => !/^link wire@|^namespace out-/.test(line));
}

describeInNetns(
  import.meta.path,
  'containers of podman with its CNI backend',
  () => {
    let rootfs = '';
    beforeAll(() => {
      coverFolders();
      rootfs = makeRootfs();
      must(['ip', 'link', 'set', 'lo', 'up']);
    });

    for (const cniVersion of ['0.3.1', '0.4.0', '1.0.0']) {
      test(`publishes ports of both families, cniVersion ${cniVersion}; nothing is left`, async () => {
        installNode({ list: { ...CLASSIC_LIST, cniVersion } });
        using outside = makeOutside();
        using podman = new Podman('cbr0');
        const publish = ['-p', '8080:80', '-p', '127.0.0.1:8081:80/tcp', '-p', '8053:53/udp'];
        podman.must([
          'run',
          '-d',
          '--name',
          'web',
          '--network',
          'cbr0',
          ...publish,
          '--rootfs',
          rootfs,
          ...SERVER,
        ]);
        await eventually(() => expect(fetched('http://127.0.0.1:8080/')).toBe('a pod\n'));
        expect(fetched('http://127.0.0.1:8081/')).toBe('a pod\n');
        expect(fetched(`http://${NODE_IP}:8080/`)).toBe('a pod\n');
        expect(fetched(`http://${NODE_IP}:8080/`, outside)).toBe('a pod\n');
        expect(fetched(`http://[2001:db8::1]:8080/`, outside)).toBe('a pod\n');
        // Mapped on 127.0.0.1 only.
        expect(fetched(`http://${NODE_IP}:8081/`, outside)).toBe('');
        // A pod reaches itself by the node's port: hairpin.
        expect(podman.must(['exec', 'web', '/bin/wget', '-qO-', `http://${NODE_IP}:8080/`])).toBe('a pod');
        const [, address] =
          /inet (10\.244\.1\.\d+)\/24/.exec(podman.must(['exec', 'web', '/bin/ip', 'addr'])) ?? [];
        expect(podman.must(['inspect', '-f', '{{.NetworkSettings.Networks.cbr0.IPAddress}}', 'web'])).toBe(
          address ?? '',
        );
        podman.must(['rm', '-f', '-t', '0', 'web']);
        expect(podTraces()).toEqual([]);
        expect(fetched('http://127.0.0.1:8080/')).toBe('');
        // The port is free for the next one, who may get another address.
        podman.must([
          'run',
          '-d',
          '--name',
          'next',
          '--network',
          'cbr0',
          '-p',
          '8080:80',
          '--rootfs',
          rootfs,
          ...SERVER,
        ]);
        await eventually(() => expect(fetched(`http://${NODE_IP}:8080/`, outside)).toBe('a pod\n'));
        podman.must(['rm', '-f', '-t', '0', 'next']);
        expect(podTraces()).toEqual([]);
      });
    }

    test("a given address and MAC are the container's; a taken address is refused by name", async () => {
      installNode();
      using podman = new Podman('cbr0');
      const wanted = ['--network', 'cbr0:ip=10.244.1.77,mac=02:00:00:00:00:77'];
      podman.must(['run', '-d', '--name', 'given', ...wanted, '--rootfs', rootfs, '/bin/sleep', '60']);
      const shown = podman.must(['exec', 'given', '/bin/ip', 'addr', 'show', 'eth0']);
      expect(shown).toContain('inet 10.244.1.77/24');
      const taken = podman.call([
        'run',
        '--name',
        'second',
        ...wanted,
        '--rootfs',
        rootfs,
        '/bin/sleep',
        '60',
      ]);
      expect(taken.code).not.toBe(0);
      expect(taken.stderr).toContain('requested IP address 10.244.1.77 is not available');
      podman.must(['rm', '-f', '-t', '0', 'given', 'second']);
      expect(podTraces()).toEqual([]);
    });

    test('a container that is restarted is wired again, a killed one leaves nothing once it is removed', async () => {
      installNode();
      using podman = new Podman('cbr0');
      podman.must([
        'run',
        '-d',
        '--name',
        'again',
        '--network',
        'cbr0',
        '-p',
        '8080:80',
        '--rootfs',
        rootfs,
        ...SERVER,
      ]);
      await eventually(() => expect(fetched('http://127.0.0.1:8080/')).toBe('a pod\n'));
      podman.must(['restart', '-t', '0', 'again']);
      await eventually(() => expect(fetched('http://127.0.0.1:8080/')).toBe('a pod\n'));
      podman.must(['kill', '--signal', 'KILL', 'again']);
      podman.must(['rm', '-f', '-t', '0', 'again']);
      expect(podTraces()).toEqual([]);
    });
  },
  { mounts: true, processes: true },
);
