import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sourcePath } from './packaging.ts';

/** A program of Debian's package prometheus: unpacked by scripts/ensure.mjs, or installed. */
export function prometheusProgram(name: 'prometheus' | 'promtool'): string {
  const unpacked = sourcePath(`dist/cache/prometheus/${name}`);
  const found = existsSync(unpacked) ? unpacked : Bun.which(name);
  if (found === null) throw new Error(`${name} is not there: node scripts/test.mjs unpacks it`);
  return found;
}

export interface PromtoolResult {
  readonly code: number;
  /** Standard output and error. */
  readonly text: string;
}

/** A folder of files for promtool, which goes with it. */
export class Promtool implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'flannel-promtool-'));

  /** Writes a file; objects as JSON, which is YAML. Returns its path. */
  write(name: string, content: string | object): string {
    const path = join(this.folder, name);
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
    return path;
  }

  async run(args: readonly string[], input = ''): Promise<PromtoolResult> {
    const child = Bun.spawn([prometheusProgram('promtool'), ...args], {
      cwd: this.folder,
      stdin: new Blob([input]),
      stdout: 'pipe',
      stderr: 'pipe',
    });
    const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    return { code, text: `${out}${err}` };
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
