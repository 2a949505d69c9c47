// Builds the stand-in for the Go plugin `flannel` (flannel-stand-in/main.go) with Debian's Go and CNI library, the one that
// Debian's plugins are built with, and puts it beside links to those plugins: a folder for CNI_PATH.
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { root } from '../bun.mjs';

const GO_PATH = '/usr/share/gocode';
const DEBIAN = '/usr/lib/cni';
const SOURCE = `${root}scripts/bench/flannel-stand-in/main.go`;
const FOLDER = `${root}dist/bench/reference`;

/** What it takes, for `ensurePackages`. */
export const STAND_IN_PACKAGES = [
  { name: 'golang-go', program: 'go', why: "builds the stand-in for the original's plugin flannel" },
  {
    name: 'golang-github-appc-cni-dev',
    program: `${GO_PATH}/src/github.com/containernetworking/cni/pkg/skel/skel.go`,
    why: 'the CNI library in Go, for the same',
  },
];

/** Builds it unless it is newer than its source; false when Go fails. */
export function buildStandIn() {
  const program = `${FOLDER}/flannel`;
  const built = statSync(program, { throwIfNoEntry: false });
  if (built !== undefined && built.mtimeMs > statSync(SOURCE).mtimeMs) return true;
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
  for (const name of ['bridge', 'host-local', 'portmap'])
    symlinkSync(`${DEBIAN}/${name}`, `${FOLDER}/${name}`);
  console.log('building the stand-in for the Go plugin flannel');
  const args = ['build', '-trimpath', '-ldflags=-s -w', '-o', program, SOURCE];
  const env = { ...process.env, GO111MODULE: 'off', GOPATH: GO_PATH, CGO_ENABLED: '0', GOFLAGS: '' };
  const done = spawnSync('go', args, { stdio: 'inherit', env });
  return done.status === 0;
}
