import { expect, test } from 'bun:test';
import { FlannelError } from '#base/errors.ts';
import { Refusal } from '#page/server/refusal.ts';
import type { LabState } from '../state/state.ts';
import { Walks } from './walks.ts';

const NODE = { name: 'n1', pid: 0, ip: '192.168.50.11', podCidr: '10.244.1.0/24', agentRestarts: 0 };
const STATE: LabState = {
  version: 1,
  options: { name: 'lab', nodes: 1, pods: 2, backend: 'vxlan', manager: 'kube', traffic: 'auto' },
  traffic: 'nftables',
  phase: 'ready',
  pid: 0,
  storeUrl: '',
  worldPid: 0,
  nodes: [NODE],
  pods: ['n1-a', 'n1-b'].map((name, at) => ({ name, node: 'n1', containerId: '', ip: `10.244.1.${at + 2}` })),
};

const ENDS = { from: 'n1-a', to: 'n1-b' };

async function refusalOf(walk: Promise<unknown>): Promise<unknown> {
  try {
    return await walk;
  } catch (error) {
    return error;
  }
}

test.each([
  [undefined, 'two ends'],
  [['n1-a', 'n1-b'], 'two ends'],
  [{ from: 'n1-a' }, 'two ends'],
  [{ from: 'n1-a', to: 1 }, 'two ends'],
  [{ from: 'n1-a', to: 'x'.repeat(254) }, 'two ends'],
  [{ from: 'n1-a', to: '../n1-b' }, 'no pod or node'],
  [{ from: 'n1', to: 'n1-a' }, 'begins in a pod'],
  [{ from: 'n1-a', to: 'n1-a' }, 'two different ends'],
])('%j is no walk of this lab', async (body, why) => {
  const error = await refusalOf(new Walks(() => STATE, {}, never).start(body));
  expect(error).toBeInstanceOf(FlannelError);
  expect(String(error)).toContain(why);
});

test('one walk at a time; a few wait, the others are told so, and a failed one holds nobody up', async () => {
  const under = { now: 0, most: 0, made: 0 };
  const walks = new Walks(
    () => STATE,
    {},
    async () => {
      under.now += 1;
      under.most = Math.max(under.most, under.now);
      under.made += 1;
      await Bun.sleep(1);
      under.now -= 1;
      if (under.made === 2) throw new FlannelError('kernel', 'no capture can run in n1');
      return { journey: { request: [], reply: [] }, result: { ok: false, error: 'nobody answers' } };
    },
  );
  const made = await Promise.all(Array.from({ length: 20 }, () => refusalOf(walks.start(ENDS))));
  const refused = made.filter((each) => each instanceof Refusal);
  expect(refused.map(({ status }) => status)).toEqual(Array.from({ length: 14 }, () => 429));
  expect(refused[0]?.cure).toBe('Wait for them');
  expect(under).toEqual({ now: 0, most: 1, made: 6 });
  expect(made[0]).toEqual({
    schema: 1,
    ...ENDS,
    request: [],
    reply: [],
    arrived: false,
    error: 'no answer: nobody answers',
  });
  expect(String(made[1])).toContain('no capture');
  expect(await walks.start(ENDS)).toMatchObject({ arrived: false });
});

function never(): never {
  throw new Error('nothing is to be sent');
}
