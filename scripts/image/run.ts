import { readFileSync } from 'node:fs';

/** Runs a program to its end in `cwd`; its standard output, or an error with its own words. */
export function must(argv: readonly string[], cwd: string): string {
  const done = Bun.spawnSync([...argv], { cwd, stdout: 'pipe', stderr: 'pipe' });
  if (done.exitCode !== 0) throw new Error(`${argv[0]} failed: ${done.stderr.toString().trim()}`);
  return done.stdout.toString();
}

/** SHA-256 of a file or of bytes, hex. */
export function sha256(source: string | Uint8Array): string {
  const bytes = typeof source === 'string' ? readFileSync(source) : source;
  return new Bun.CryptoHasher('sha256').update(bytes).digest('hex');
}
