import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { must } from './netns.ts';

/** A certificate for 127.0.0.1 that is its own CA and ends in `days`, with its key; PEM. */
export function selfSigned(days: number): { readonly cert: string; readonly key: string } {
  const folder = mkdtempSync(join(tmpdir(), 'certificate-'));
  const [cert, key] = [join(folder, 'cert'), join(folder, 'key')];
  try {
    const made = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    const named = ['-subj', '/CN=doctor', '-addext', 'subjectAltName=IP:127.0.0.1'];
    must(['openssl', 'req', ...made, ...named, '-keyout', key, '-out', cert, '-days', String(days)]);
    return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
