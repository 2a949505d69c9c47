import { expect } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface KubectlResult {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** kubectl for one server, with nothing from the user's own configuration; its folder goes with it. */
export class Kubectl implements Disposable {
  readonly folder: string;

  /** `url`: of the API server. */
  constructor(url: string) {
    this.folder = mkdtempSync(join(tmpdir(), 'flannel-kubectl-'));
    const config = {
      kind: 'Config',
      apiVersion: 'v1',
      clusters: [{ name: 'lab', cluster: { server: url } }],
      users: [{ name: 'lab', user: {} }],
      contexts: [{ name: 'lab', context: { cluster: 'lab', user: 'lab' } }],
      'current-context': 'lab',
    };
    this.write('config', JSON.stringify(config));
  }

  async run(...args: readonly string[]): Promise<KubectlResult> {
    const flags = ['--kubeconfig', join(this.folder, 'config'), '--cache-dir', join(this.folder, 'cache')];
    const child = Bun.spawn(['kubectl', ...flags, '--request-timeout', '10s', ...args], {
      stdout: 'pipe',
      stderr: 'pipe',
      env: { HOME: this.folder, PATH: '/usr/bin:/bin' },
    });
    const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    return { code, out, err };
  }

  /** The output of a call that must succeed. */
  async ok(...args: readonly string[]): Promise<string> {
    const { code, out, err } = await this.run(...args);
    expect({ args, code, err: code === 0 ? '' : err }).toEqual({ args, code: 0, err: '' });
    return out;
  }

  /** Writes a file into the folder; returns its path. */
  write(name: string, text: string): string {
    const path = join(this.folder, name);
    writeFileSync(path, text);
    return path;
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
