import { X509Certificate } from 'node:crypto';
import { ConfigError } from '#base/errors.ts';
import { isObject } from '#lab/cni/conflist.ts';
import type { Facts } from '../facts/facts.ts';
import { error, NotAsked, orOk, warning, type Check, type Finding } from '../finding.ts';

const DAY = 86_400_000;
/** So long before its end a certificate is warned of. */
const SOON = 7 * DAY;

export const certificates: Check = {
  id: 'certificates',
  title: 'certificates and token are valid',
  async run(facts) {
    const { ca, cert, token, server } = await facts.cluster.config();
    if (!server.startsWith('https:')) throw new NotAsked(`${server} is plain http`);
    const { readFile } = facts.cluster;
    const findings = [
      ...certificatesIn(facts, (await cert?.read(readFile)) ?? '', `client certificate ${cert}`),
      ...certificatesIn(facts, (await ca?.read(readFile)) ?? '', `CA ${ca}`),
      ...tokenIn(facts, (await token?.read(readFile)) ?? '', `token ${token}`),
    ];
    return orOk(findings, 'none ends within a week');
  },
};

function certificatesIn({ host }: Facts, pem: string, name: string): Finding[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
  return blocks.flatMap((block) => {
    const { validFromDate, validToDate } = parse(block, name);
    const now = host.now();
    if (now < validFromDate.getTime())
      return [wrong(`${name} is valid only from ${validFromDate.toISOString()} on`)];
    if (now > validToDate.getTime()) return [wrong(`${name} has expired at ${validToDate.toISOString()}`)];
    if (validToDate.getTime() - now > SOON) return [];
    return [
      warning({
        what: `${name} expires at ${validToDate.toISOString()}`,
        why: 'the API server then refuses this node (x509)',
        cure: 'kubeadm certs renew all, or renew it where it comes from',
      }),
    ];
  });
}

function parse(block: string, name: string): X509Certificate {
  try {
    return new X509Certificate(block);
  } catch (cause) {
    throw new ConfigError(name, 'is not a certificate', { cause });
  }
}

/** The claim `exp` of a JSON Web Token (RFC 7519 section 4.1.4); a token of another kind says nothing. */
function tokenIn({ host }: Facts, token: string, name: string): Finding[] {
  const [, payload = ''] = token.trim().split('.');
  let claims: unknown;
  try {
    claims = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
  } catch {
    return [];
  }
  const end = isObject(claims) && typeof claims['exp'] === 'number' ? claims['exp'] * 1000 : undefined;
  if (end === undefined || host.now() < end) return [];
  return [wrong(`${name} has expired at ${new Date(end).toISOString()}`)];
}

function wrong(what: string): Finding {
  return error({
    what,
    why: 'the API server refuses this node (401 or x509)',
    cure: 'renew it (kubeadm certs renew all; a token: kubectl -n kube-flannel rollout restart daemonset), or set the clock: timedatectl set-ntp true',
  });
}
