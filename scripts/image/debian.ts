import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { must, sha256 } from './run.ts';

/** The release that the image's files come from. */
export const RELEASE = { id: '12', codename: 'bookworm' } as const;

/** iptables with every library that it needs, the C library of all executables, CA certificates. */
const PACKAGES = [
  'ca-certificates',
  'iptables',
  'libc6',
  'libip4tc2',
  'libip6tc2',
  'libmnl0',
  'libnetfilter-conntrack3',
  'libnfnetlink0',
  'libnftnl11',
  'libxtables12',
] as const;

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
const ARCHIVES = [
  ['http://deb.debian.org/debian', `${RELEASE.codename} ${RELEASE.codename}-updates`],
  ['http://deb.debian.org/debian-security', `${RELEASE.codename}-security`],
] as const;
/** After this time apt is asked again, ms: a fix must not wait for somebody to empty a folder. */
const FRESH_MS = 12 * 60 * 60 * 1000;

export interface DebianPackage {
  readonly name: string;
  readonly version: string;
  /** As Debian names it; `all` for a package without machine code. */
  readonly architecture: string;
  /** SHA-256 of the package file, hex. */
  readonly digest: string;
  /** Its control file. */
  readonly control: string;
  /** The folder that it was unpacked into. */
  readonly root: string;
}

/**
 * The packages of one architecture, newest version, unpacked below `folder`. apt checks signatures; its state is a
 * folder of ours, so that the machine's own apt notices nothing. Throws with apt's own words.
 */
export function debianPackages(architecture: string, folder: string): DebianPackage[] {
  const stamp = `${folder}/complete`;
  if (!existsSync(stamp) || Date.now() - statSync(stamp).mtimeMs > FRESH_MS) {
    rmSync(folder, { recursive: true, force: true });
    download(architecture, folder);
    writeFileSync(stamp, '');
  }
  const files = readdirSync(`${folder}/files`).filter((name) => name.endsWith('.deb'));
  return files.sort().map((file) => describePackage(folder, file));
}

function download(architecture: string, folder: string): void {
  if (!existsSync(KEYRING))
    throw new Error(`${KEYRING} is not there: install Debian's package debian-archive-keyring`);
  for (const path of ['state/lists/partial', 'cache/archives/partial', 'sources', 'files', 'trees'])
    mkdirSync(`${folder}/${path}`, { recursive: true });
  writeFileSync(`${folder}/status`, '');
  const sources = ARCHIVES.map(
    ([uri, suites]) =>
      `Types: deb\nURIs: ${uri}\nSuites: ${suites}\nComponents: main\nSigned-By: ${KEYRING}\n`,
  );
  writeFileSync(`${folder}/sources/debian.sources`, sources.join('\n'));
  const settings = [
    `Dir::State=${folder}/state`,
    `Dir::State::status=${folder}/status`,
    `Dir::Cache=${folder}/cache`,
    'Dir::Etc::sourcelist=/dev/null',
    `Dir::Etc::sourceparts=${folder}/sources`,
    'Dir::Etc::preferencesparts=/dev/null',
    `APT::Architecture=${architecture}`,
    `APT::Architectures=${architecture}`,
    'APT::Sandbox::User=root',
    'APT::Update::Error-Mode=any',
    'Acquire::Languages=none',
    'Acquire::Retries=3',
  ].flatMap((setting) => ['-o', setting]);
  must(['apt-get', '-qq', ...settings, 'update'], folder);
  must(['apt-get', '-qq', ...settings, 'download', ...PACKAGES], `${folder}/files`);
  // Megabytes of package lists that nobody reads again.
  rmSync(`${folder}/state`, { recursive: true });
  for (const file of readdirSync(`${folder}/files`))
    must(['dpkg-deb', '--extract', `${folder}/files/${file}`, `${folder}/trees/${file}`], folder);
}

function describePackage(folder: string, file: string): DebianPackage {
  const path = `${folder}/files/${file}`;
  const control = must(['dpkg-deb', '--field', path], folder);
  const field = (name: string): string => {
    const value = new RegExp(`^${name}: (.+)$`, 'm').exec(control)?.[1];
    if (value === undefined) throw new Error(`${file} has no field ${name}`);
    return value;
  };
  return {
    name: field('Package'),
    version: field('Version'),
    architecture: field('Architecture'),
    digest: sha256(path),
    control,
    root: `${folder}/trees/${file}`,
  };
}
