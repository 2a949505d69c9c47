import { type DebianPackage, RELEASE } from './debian.ts';
import { isoTime } from './oci.ts';
import { sha256 } from './run.ts';

/** One package of package-lock.json. */
export interface NpmPackage {
  readonly name: string;
  readonly version: string;
  readonly integrity: string;
  readonly license: string;
}

export interface Inventory {
  readonly version: string;
  /** As Debian and OCI name it. */
  readonly architecture: string;
  /** Of the executable, hex. */
  readonly digest: string;
  /** Bun itself, whose runtime is inside the executable. */
  readonly runtime: NpmPackage;
  /** What was at work while it was built and is not in the image. */
  readonly tools: readonly NpmPackage[];
  readonly debian: readonly DebianPackage[];
  /** Seconds since 1970. */
  readonly time: number;
}

/** The software bill of materials of one architecture's image: CycloneDX 1.5, JSON. The same inventory gives the same bytes. */
export function billOfMaterials(inventory: Inventory): Uint8Array {
  const { version, architecture, digest, runtime, tools, debian, time } = inventory;
  const image = { type: 'container', 'bom-ref': 'image', name: 'flannel', version: `v${version}` };
  const program = {
    type: 'application',
    'bom-ref': 'flannel',
    name: 'flannel',
    version,
    licenses: [{ license: { id: 'Apache-2.0' } }],
    hashes: [{ alg: 'SHA-256', content: digest }],
    properties: [{ name: 'architecture', value: architecture }],
  };
  const packages = debian.map((one) => debianComponent(one));
  const inside = [program, npmComponent(runtime, 'required'), ...packages];
  const body = {
    metadata: { timestamp: isoTime(time), component: image },
    components: [...inside, ...tools.map((tool) => npmComponent(tool, 'excluded'))],
    dependencies: [
      { ref: 'image', dependsOn: ['flannel', ...packages.map((one) => one['bom-ref'])] },
      { ref: 'flannel', dependsOn: [purlOf(runtime)] },
    ],
  };
  const document = {
    $schema: 'http://cyclonedx.org/schema/bom-1.5.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    serialNumber: `urn:uuid:${uuidOf(JSON.stringify(body))}`,
    version: 1,
    ...body,
  };
  return new TextEncoder().encode(`${JSON.stringify(document, undefined, 2)}\n`);
}

function debianComponent({ name, version, architecture, digest }: DebianPackage) {
  const purl = debianPurl({ name, version, architecture });
  const hashes = [{ alg: 'SHA-256', content: digest }];
  return { type: 'library', 'bom-ref': purl, name, version, purl, scope: 'required', hashes };
}

/** The package URL of a Debian package. */
export function debianPurl({
  name,
  version,
  architecture,
}: Pick<DebianPackage, 'name' | 'version' | 'architecture'>): string {
  const query = `arch=${architecture}&distro=debian-${RELEASE.id}`;
  return `pkg:deb/debian/${encodeURIComponent(name)}@${encodeURIComponent(version)}?${query}`;
}

function npmComponent(one: NpmPackage, scope: 'required' | 'excluded') {
  const purl = purlOf(one);
  const content = Buffer.from(one.integrity.replace(/^sha512-/, ''), 'base64').toString('hex');
  const { name, version, license } = one;
  const rest = { licenses: [{ license: { name: license } }], hashes: [{ alg: 'SHA-512', content }] };
  return { type: 'library', 'bom-ref': purl, name, version, purl, scope, ...rest };
}

function purlOf({ name, version }: NpmPackage): string {
  return `pkg:npm/${name.replace('@', '%40')}@${version}`;
}

/** A UUID of the custom kind (RFC 9562, version 8) from a digest: another content, another number, no chance in it. */
function uuidOf(content: string): string {
  const hex = sha256(new TextEncoder().encode(content));
  const parts = [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`];
  return [...parts, hex.slice(20, 32)].join('-');
}
