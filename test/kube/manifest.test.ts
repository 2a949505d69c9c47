import { describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { checkBackend } from '#backend/create.ts';
import { installMain } from '#cli/install/main.ts';
import { FLAGS } from '#daemon/flag-table.ts';
import { parseFlags } from '#daemon/flags.ts';
import { checkOptions } from '#daemon/options.ts';
import { FLANNEL_CONFLIST } from '#lab/cni/conflist.ts';
import { parseNetworkConfig } from '#subnet/config.ts';
import { IMAGE } from '../../scripts/image/name.ts';
import {
  type Container,
  daemonSetSpec,
  dataOf,
  manifestObjects,
  objectsOfYaml,
  sourcePath,
  theOnly,
} from '../support/packaging.ts';

const objects = manifestObjects('packaging/kubernetes/kube-flannel.yml');
const original = manifestObjects('test/fixtures/kube/original-release.yml');
const { selector, template } = daemonSetSpec(theOnly(objects, 'DaemonSet'));
const pod = template.spec;
const [agent, ...otherContainers] = pod.containers as [Container, ...Container[]];
const [init, ...otherInits] = pod.initContainers as [Container, ...Container[]];
const config = dataOf(theOnly(objects, 'ConfigMap'));

describe('in place of the original', () => {
  test('kind, name, namespace and labels of every object', () => {
    const identity = ({ apiVersion, kind, metadata }: (typeof objects)[number]) => {
      const { name, namespace, labels } = metadata;
      return { apiVersion, kind, name, namespace, labels };
    };
    expect(objects.map(identity)).toEqual(original.map(identity));
  });

  test('what cannot be changed: the selector, the role of the binding', () => {
    expect(selector).toEqual(daemonSetSpec(theOnly(original, 'DaemonSet')).selector);
    expect(template.metadata.labels).toMatchObject(selector.matchLabels);
    const roleRef = theOnly(objects, 'ClusterRoleBinding')['roleRef'];
    expect(roleRef).toEqual(theOnly(original, 'ClusterRoleBinding')['roleRef']);
  });
});

describe('the agent', () => {
  test('its flags are taken', () => {
    const env = Object.fromEntries((agent.env ?? []).map(({ name, value = 'x' }) => [name, value]));
    const { values, warnings } = parseFlags(agent.args ?? [], env);
    expect(warnings).toEqual([]);
    checkOptions({ flags: values, env });
    expect(values).toMatchObject({ 'ip-masq': true, 'kube-subnet-mgr': true });
  });

  test('the probes ask where it listens', () => {
    const { values } = parseFlags(agent.args ?? [], {});
    const at = { host: values['healthz-ip'], port: values['healthz-port'] };
    expect(agent.livenessProbe?.httpGet).toEqual({ ...at, path: '/healthz' });
    expect(agent.readinessProbe?.httpGet).toEqual({ ...at, path: '/readyz' });
    expect(pod.hostNetwork).toBe(true);
  });

  test('what it writes and reads is mounted', () => {
    const mounted = (path: string) =>
      agent.volumeMounts.find(({ mountPath }) => `${path}/`.startsWith(`${mountPath.replace(/\/$/, '')}/`));
    expect(mounted(dirname(FLAGS['subnet-file'].fallback))?.readOnly).toBeUndefined();
    expect(mounted(FLAGS['ipam-dir'].fallback)?.readOnly).toBeUndefined();
    expect(mounted(dirname(FLAGS['net-config-path'].fallback))?.readOnly).toBe(true);
    // Later namespaces are mounts, and must be seen.
    expect(mounted('/run/netns')).toMatchObject({ readOnly: true, mountPropagation: 'HostToContainer' });
  });

  test('the configuration is parsed without a warning', () => {
    const text = config['net-conf.json'] ?? '';
    const { config: parsed, warnings } = parseNetworkConfig(text, { source: 'net-conf.json' });
    expect([...warnings, ...checkBackend(parsed)]).toEqual([]);
    expect(JSON.parse(text)).toEqual(
      JSON.parse(dataOf(theOnly(original, 'ConfigMap'))['net-conf.json'] ?? ''),
    );
  });
});

describe('the init container', () => {
  test('installs the conflist of Flannel', () => {
    expect(JSON.parse(config['cni-conf.json'] ?? '')).toEqual(FLANNEL_CONFLIST);
  });

  test('has every folder of install-cni, and no other', async () => {
    const said: string[] = [];
    await installMain(['--help'], { source: '', say: (line) => void said.push(line) });
    const folders = [...said.join('\n').matchAll(/\((\/[^)]+)\)$/gm)].map(([, path = '']) => path);
    const wanted = folders.map((path) => (path.endsWith('.json') ? dirname(path) : path));
    expect(init.command).toEqual(['/opt/bin/flannelctl', 'install-cni']);
    expect(init.volumeMounts.map(({ mountPath }) => mountPath.replace(/\/$/, '')).sort()).toEqual(
      wanted.sort(),
    );
  });
});

test('the containers: one image, its version, limits equal to requests, no right that is not needed', () => {
  expect([...otherContainers, ...otherInits]).toEqual([]);
  const bounds = { cpu: '100m', memory: '50Mi' };
  for (const container of [agent, init]) {
    expect(container.image).toBe(IMAGE);
    expect(container.resources).toEqual({ requests: bounds, limits: bounds });
    expect(container.securityContext).toMatchObject({
      privileged: false,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
  }
  expect(agent.securityContext?.capabilities?.add).toEqual(['NET_ADMIN', 'NET_RAW']);
  expect(init.securityContext?.capabilities?.add).toEqual(['DAC_OVERRIDE']);
});

test('every volume is mounted, and every mount is a volume', () => {
  const mounted = [agent, init].flatMap(({ volumeMounts }) => volumeMounts.map(({ name }) => name));
  expect([...new Set(mounted)].sort()).toEqual(pod.volumes.map(({ name }) => name).sort());
  const typed = pod.volumes.filter(({ hostPath }) => hostPath !== undefined && hostPath.type === undefined);
  expect(typed).toEqual([]);
});

test('the rights are those of the installation page', () => {
  const page = readFileSync(sourcePath('docs/install.md'), 'utf8');
  const blocks = [...page.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, body = '']) => body);
  const documented = objectsOfYaml(blocks.find((block) => block.includes('kind: ClusterRole\n')) ?? '');
  expect(theOnly(objects, 'ClusterRole')['rules']).toEqual(theOnly(documented, 'ClusterRole')['rules']);
  expect(theOnly(objects, 'ClusterRole')['rules']).toEqual([
    { apiGroups: [''], resources: ['pods'], verbs: ['get'] },
    { apiGroups: [''], resources: ['nodes'], verbs: ['get', 'list', 'watch'] },
    { apiGroups: [''], resources: ['nodes/status'], verbs: ['patch'] },
    { apiGroups: [''], resources: ['events'], verbs: ['create', 'patch'] },
  ]);
});

describe('the PodSecurityPolicy', () => {
  const file = manifestObjects('packaging/kubernetes/psp/podsecuritypolicy.yml');
  const { spec = {}, metadata } = theOnly(file, 'PodSecurityPolicy');

  test('admits the pods and nothing that they do not need', () => {
    const paths = pod.volumes.flatMap(({ hostPath }) => hostPath?.path ?? []);
    const allowed = spec['allowedHostPaths'] as { pathPrefix: string; readOnly?: boolean }[];
    expect(allowed.map(({ pathPrefix }) => pathPrefix).sort()).toEqual(paths.sort());
    for (const { pathPrefix } of allowed.filter(({ readOnly }) => readOnly === true)) {
      const mounts = [agent, init].flatMap(({ volumeMounts }) => volumeMounts);
      expect(
        mounts.filter(({ mountPath }) => mountPath === pathPrefix).map(({ readOnly }) => readOnly),
      ).toEqual([true]);
    }
    const capabilities = [agent, init].flatMap(
      ({ securityContext }) => securityContext?.capabilities?.add ?? [],
    );
    expect(spec['allowedCapabilities']).toEqual(capabilities);
    expect(spec['volumes']).toEqual(expect.arrayContaining(['configMap', 'hostPath', 'secret', 'projected']));
    expect(spec).toMatchObject({ hostNetwork: true, privileged: false, readOnlyRootFilesystem: true });
    expect(metadata.annotations?.['seccomp.security.alpha.kubernetes.io/allowedProfileNames']).toContain(
      'runtime/default',
    );
  });

  test('is for the service account of the manifest', () => {
    const account = theOnly(objects, 'ServiceAccount').metadata;
    const { name, namespace } = account;
    expect(theOnly(file, 'RoleBinding')['subjects']).toEqual([
      { kind: 'ServiceAccount', name, namespace: namespace ?? '' },
    ]);
    const rule = { apiGroups: ['policy'], resources: ['podsecuritypolicies'], verbs: ['use'] };
    expect(theOnly(file, 'Role')['rules']).toEqual([{ ...rule, resourceNames: [metadata.name] }]);
  });
});
