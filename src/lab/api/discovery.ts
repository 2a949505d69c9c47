import type { JsonObject } from './object.ts';
import { apiVersionOf, RESOURCES, type Resource } from './resources.ts';

/** The Kubernetes release whose behaviour this server follows. */
const VERSION = { major: '1', minor: '32' };

const VERBS = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];

/** Review kinds that can only be created, and are answered at once. */
const REVIEW_GROUP = { group: 'authorization.k8s.io', version: 'v1' };

export const REVIEW_PATH = 'apis/authorization.k8s.io/v1/selfsubjectaccessreviews';

function entriesOf(resource: Resource): JsonObject[] {
  const { plural, singular, namespaced, kind, shortNames } = resource;
  const main: JsonObject = { name: plural, singularName: singular, namespaced, kind, verbs: VERBS };
  if (shortNames.length > 0) main['shortNames'] = [...shortNames];
  const status = {
    name: `${plural}/status`,
    singularName: '',
    namespaced,
    kind,
    verbs: ['get', 'patch', 'update'],
  };
  return resource.status ? [main, status] : [main];
}

function resourceList(groupVersion: string, resources: JsonObject[]): JsonObject {
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion, resources };
}

function groups(): { group: string; version: string }[] {
  const named = new Map(
    RESOURCES.filter(({ group }) => group !== '').map(({ group, version }) => [group, { group, version }]),
  );
  return [...named.values(), REVIEW_GROUP];
}

function apiGroup(group: string, version: string): JsonObject {
  const only = { groupVersion: `${group}/${version}`, version };
  return { name: group, versions: [only], preferredVersion: only };
}

/**
 * Discovery documents by path without slashes at the ends; undefined for a path that has none.
 * Clients that ask for aggregated discovery take these as an older server's answer.
 */
export function discovery(path: string): JsonObject | undefined {
  switch (path) {
    case 'version':
      return {
        ...VERSION,
        gitVersion: `v${VERSION.major}.${VERSION.minor}.0`,
        gitCommit: '',
        gitTreeState: 'clean',
        buildDate: '1970-01-01T00:00:00Z',
        goVersion: 'none',
        compiler: 'none',
        platform: 'linux/amd64',
      };
    case '':
      return {
        paths: ['/api', '/api/v1', '/apis', '/healthz', '/livez', '/openapi/v3', '/readyz', '/version'],
      };
    case 'api':
      return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] };
    case 'apis':
      return {
        kind: 'APIGroupList',
        apiVersion: 'v1',
        groups: groups().map(({ group, version }) => apiGroup(group, version)),
      };
    case 'openapi/v3':
      return openApiIndex();
    default:
      return groupDocument(path);
  }
}

function groupDocument(path: string): JsonObject | undefined {
  for (const { group, version } of [{ group: '', version: 'v1' }, ...groups()]) {
    const root = group === '' ? `api/${version}` : `apis/${group}/${version}`;
    if (path === `openapi/v3/${root}`) return openApi(group, version);
    if (group !== '' && path === `apis/${group}`)
      return { kind: 'APIGroup', apiVersion: 'v1', ...apiGroup(group, version) };
    if (path !== root) continue;
    const own = RESOURCES.filter((resource) => resource.group === group && resource.version === version);
    const reviews = {
      name: 'selfsubjectaccessreviews',
      singularName: 'selfsubjectaccessreview',
      namespaced: false,
      kind: 'SelfSubjectAccessReview',
      verbs: ['create'],
    };
    const list = group === REVIEW_GROUP.group ? [reviews] : own.flatMap(entriesOf);
    return resourceList(apiVersionOf({ group, version }), list);
  }
  return undefined;
}

function openApiIndex(): JsonObject {
  const roots = ['api/v1', ...groups().map(({ group, version }) => `apis/${group}/${version}`)];
  return {
    paths: Object.fromEntries(roots.map((root) => [root, { serverRelativeURL: `/openapi/v3/${root}` }])),
  };
}

/**
 * As much of OpenAPI v3 as kubectl reads before a write: that PATCH of a kind takes `fieldValidation`, which tells it that
 * the server validates. The fields themselves are not described.
 */
function openApi(group: string, version: string): JsonObject {
  const root = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
  const own = RESOURCES.filter((resource) => resource.group === group && resource.version === version);
  const paths = own.map((resource) => {
    const place = resource.namespaced ? `${root}/namespaces/{namespace}` : root;
    const query = ['dryRun', 'fieldManager', 'fieldValidation'];
    const operation: JsonObject = {
      parameters: query.map((name) => ({ name, in: 'query', schema: { type: 'string', uniqueItems: true } })),
      responses: { '200': { description: 'OK' } },
      'x-kubernetes-group-version-kind': { group, version, kind: resource.kind },
    };
    return [`${place}/${resource.plural}/{name}`, { patch: operation }];
  });
  return {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: `v${VERSION.major}.${VERSION.minor}.0` },
    paths: Object.fromEntries(paths) as JsonObject,
    components: { schemas: {} },
  };
}
