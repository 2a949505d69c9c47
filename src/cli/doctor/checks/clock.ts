import { NotAsked, ok, warning, type Check } from '../finding.ts';

/** Tokens and certificates are taken with some leeway, ms. The server tells whole seconds. */
const MOST = 30_000;

export const clock: Check = {
  id: 'clock',
  title: "this machine's clock agrees with the API server's",
  async run({ cluster }) {
    await cluster.ownNode();
    const { clock: seen } = cluster;
    if (seen === undefined) throw new NotAsked('the API server does not tell the time');
    const seconds = Math.round((seen.ours - seen.theirs) / 1000);
    const text = `${Math.abs(seconds)} s ${seconds < 0 ? 'behind' : 'ahead of'} the API server's`;
    if (Math.abs(seen.ours - seen.theirs) <= MOST) return [ok(text)];
    return [
      warning({
        what: `the clock of this machine is ${text}`,
        why: 'certificates and tokens are taken for expired, or not valid yet (x509)',
        cure: 'timedatectl set-ntp true',
      }),
    ];
  },
};
