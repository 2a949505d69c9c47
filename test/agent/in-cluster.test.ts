import { expect, test } from 'bun:test';
import { mkdirSync, writeFileSync } from 'node:fs';
import { AgentWorld, N2, readyz } from '../support/agent-world.ts';
import { selfSigned } from '../support/certificate.ts';
import { eventually } from '../support/eventually.ts';
import { golden } from '../support/golden.ts';
import { describeInNetns, must } from '../support/netns.ts';

const ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

describeInNetns(
  import.meta.path,
  'in a pod of the cluster',
  () => {
    test('service account, CA, a token that rotates, the Node found through the Pod, and only what RBAC grants', async () => {
      must(['mount', '-t', 'tmpfs', 'tmpfs', '/run']);
      mkdirSync(ACCOUNT, { recursive: true });
      const tls = selfSigned(2);
      writeFileSync(`${ACCOUNT}/ca.crt`, tls.cert);
      writeFileSync(`${ACCOUNT}/token`, 'first-token');
      await using world = await AgentWorld.create({
        netConf: golden('vxlan-nftables/net-conf.json'),
        api: { tls },
      });
      world.addNode('n1', { podCidrs: ['10.244.1.0/24'] });
      world.addPeer('n2', N2);
      world.api.namespaces.create({ metadata: { name: 'kube-flannel' } });
      const pod = {
        metadata: { name: 'kube-flannel-ds-x', namespace: 'kube-flannel' },
        spec: { nodeName: 'n1' },
      };
      world.api.pods.create(pod);
      const env = {
        NODE_NAME: '',
        POD_NAME: 'kube-flannel-ds-x',
        POD_NAMESPACE: 'kube-flannel',
        KUBERNETES_SERVICE_HOST: '127.0.0.1',
        KUBERNETES_SERVICE_PORT: String(world.api.port),
        // A proxy is not for the API server of one's own cluster.
        HTTPS_PROXY: 'http://127.0.0.1:9',
      };
      await using agent = await world.startReady(['--kube-api-url='], { env });
      expect(must(['ip', 'route'])).toContain('10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink');
      // The kubelet writes a new token; the old one ends, and with it the watch.
      writeFileSync(`${ACCOUNT}/token`, 'second-token');
      world.api.faults.rejectToken('first-token');
      world.api.faults.cutWatches();
      world.addPeer('n3', {
        ...N2,
        podCidrs: ['10.244.3.0/24'],
        publicIp: '192.168.50.13',
        mac: '56:ef:6d:09:4e:43',
      });
      await eventually(() => expect(must(['ip', 'route'])).toContain('10.244.3.0/24 via 10.244.3.0'));
      expect((await readyz()).status).toBe(200);
      const granted = ['get nodes', 'get pods', 'list nodes', 'patch nodes/status', 'watch nodes'];
      expect(granted).toEqual(expect.arrayContaining(Object.keys(world.api.requests.counts())));
      expect(agent.log).not.toContain('first-token');
      expect(agent.log).not.toContain('second-token');
    });
  },
  { mounts: true },
);
