import { describe, expect, test } from 'bun:test';
import type { RunProgram } from './exec.ts';
import { chooseVariant, findVariant, programName, type Evidence } from './iptables-variant.ts';

const NONE: Evidence = { hint: undefined, foreign: 0, ours: false };
const HINT = 'KUBE-IPTABLES-HINT';

describe('which variant', () => {
  const CASES: readonly (readonly [string, Partial<Evidence>, Partial<Evidence>, string | undefined])[] = [
    ['nothing anywhere: whatever the plain name is', {}, {}, undefined],
    ['the kubelet is in nft', { hint: HINT }, { foreign: 100 }, 'nft'],
    ['the kubelet is in legacy', { foreign: 100, ours: true }, { hint: HINT }, 'legacy'],
    ['the kubelet has been in both: nft, as the wrappers do', { hint: HINT }, { hint: HINT }, 'nft'],
    ['more rules of others in legacy', { foreign: 2, ours: true }, { foreign: 3 }, 'legacy'],
    ['more rules of others in nft', { foreign: 3 }, { foreign: 2, ours: true }, 'nft'],
    ['ours alone, in legacy', {}, { ours: true }, 'legacy'],
    ['ours alone, in nft', { ours: true }, {}, 'nft'],
    ['ours alone, in both', { ours: true }, { ours: true }, 'nft'],
  ];
  for (const [name, nft, legacy, expected] of CASES) {
    test(name, () => {
      const all = { nft: { ...NONE, ...nft }, legacy: { ...NONE, ...legacy } };
      const { variant, left } = chooseVariant(all);
      expect(variant).toBe(expected as typeof variant);
      const others = (['nft', 'legacy'] as const).filter((other) => other !== variant && all[other].ours);
      expect(left).toEqual(others);
    });
  }
});

/** Programs by name with what they print; a number is an exit code. */
function host(programs: Readonly<Record<string, string | number>>): RunProgram {
  return async ([name]) => {
    const answer = programs[name];
    if (answer === undefined) return undefined;
    return typeof answer === 'number'
      ? { code: answer, stdout: ':KUBE-IPTABLES-HINT - [0:0]', stderr: 'no' }
      : { code: 0, stdout: answer, stderr: '' };
  };
}

const OURS = `*nat
:POSTROUTING ACCEPT [0:0]
:FLANNEL-POSTRTG - [0:0]
-A POSTROUTING -m comment --comment "flanneld masq" -j FLANNEL-POSTRTG
-A FLANNEL-POSTRTG -j RETURN
COMMIT
`;
const KUBE = '*mangle\n:KUBE-KUBELET-CANARY - [0:0]\nCOMMIT\n';
const BOTH = {
  'iptables-nft-save': '',
  'ip6tables-nft-save': '',
  'iptables-legacy-save': '',
  'ip6tables-legacy-save': '',
};

describe('what is there', () => {
  test('without both variants there is nothing to choose', async () => {
    const plain = { 'iptables-save': '', 'iptables-nft-save': KUBE };
    expect(await findVariant(host(plain))).toMatchObject({ variant: undefined, left: [] });
    expect(await findVariant(host({}))).toMatchObject({ variant: undefined });
    expect(await findVariant(host({ 'iptables-legacy-save': '' }))).toMatchObject({ variant: 'legacy' });
    expect(await findVariant(host({ 'ip6tables-nft-save': '' }))).toMatchObject({ variant: 'nft' });
  });

  test('the kubelet is found in either family', async () => {
    for (const name of ['iptables-legacy-save', 'ip6tables-legacy-save'])
      expect(await findVariant(host({ ...BOTH, 'iptables-nft-save': OURS, [name]: KUBE }))).toEqual({
        variant: 'legacy',
        reason: 'chain KUBE-KUBELET-CANARY',
        left: ['nft'],
      });
  });

  test('our own rules and jumps do not count as those of others', async () => {
    const one = '*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -j ACCEPT\nCOMMIT\n';
    const found = await findVariant(
      host({ ...BOTH, 'iptables-nft-save': OURS, 'iptables-legacy-save': one }),
    );
    expect(found).toEqual({ variant: 'legacy', reason: '1 rules of others there', left: ['nft'] });
  });

  test('a variant whose program fails has nothing to show', async () => {
    expect(
      await findVariant(host({ ...BOTH, 'iptables-nft-save': 1, 'iptables-legacy-save': KUBE })),
    ).toMatchObject({
      variant: 'legacy',
    });
  });
});

test('names of the programs', () => {
  expect(programName('ipv4', undefined)).toBe('iptables');
  expect(programName('ipv6', 'legacy', 'save')).toBe('ip6tables-legacy-save');
});
