import { error, few, ok, warning, type Check, type Finding } from '../finding.ts';

export const plan: Check = {
  id: 'plan',
  title: 'devices, addresses, routes, neighbours and FDB entries are as planned',
  async run(facts) {
    const { found, leftOver, unread } = await facts.difference();
    const missing = found.filter((what) => !leftOver.includes(what));
    const unseen = unread.map((what) =>
      warning({
        what: `cannot be compared: ${what}`,
        why: 'what is wrong there is not seen',
        cure: 'look at what is named',
      }),
    );
    if (missing.length > 0) return [...unseen, differs(missing)];
    return unseen.length > 0 ? unseen : [ok(`${(await facts.overlay()).peers.size} peers`)];
  },
};

function differs(missing: readonly string[]): Finding {
  return error({
    what: `not as planned: ${few(missing)}`,
    why: 'packets to the nodes concerned, or from this node to the world, are lost',
    cure: 'flannelctl diff (the agent mends it within a second; when it stays: flannelctl doctor --only agent,sync)',
  });
}

export const rules: Check = {
  id: 'rules',
  title: 'the traffic rules are as planned',
  async run(facts) {
    const { rules: found } = await facts.difference();
    if (found.length === 0) return [ok(facts.mode)];
    return [
      error({
        what: `not as planned: ${few(found)}`,
        why: 'pods do not reach the world, or their packets are not forwarded',
        cure: 'the agent mends it, at once in nftables mode, else within --iptables-resync; when it stays, another program removes them (firewalld: firewall-cmd --reload does): flannelctl doctor --only agent,repairs,forward',
      }),
    ];
  },
};

export const stale: Check = {
  id: 'stale',
  title: 'nothing is left of nodes and configurations that are gone',
  async run(facts) {
    const { leftOver } = await facts.difference();
    if (leftOver.length === 0) return [ok('nothing')];
    return [
      warning({
        what: `left over: ${few(leftOver)}`,
        why: 'packets are sent to where nobody is, or, after another backend, in another way than is wanted',
        cure: 'the agent removes it at its next pass; when it stays: flannelctl doctor --only agent,sync',
      }),
    ];
  },
};
