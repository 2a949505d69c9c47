import { expect, test } from 'bun:test';
import { parseStatus, type AgentStatus } from '../inspect/agent-status.ts';
import { healthOf } from './overview.ts';

function status(parts: Record<string, unknown>): AgentStatus {
  const base = {
    ready: true,
    reason: 'ready',
    pid: 1,
    version: '1',
    startedAt: '2026-01-01T00:00:00.000Z',
    writtenAt: '2026-01-01T00:00:00.000Z',
  };
  return parseStatus(JSON.stringify({ ...base, ...parts }));
}

const PASS = { at: '2026-01-01T00:00:01.000Z', ms: 5, found: 0, errors: 0 };
const brief = (given: AgentStatus | undefined, noAgent?: string) => {
  const { state, reasons } = healthOf(given, noAgent);
  return [state, reasons];
};

test('ready, waiting and failing are told apart', () => {
  expect(brief(status({ lastPass: PASS }))).toEqual(['ready', []]);
  expect(brief(status({ ready: false, reason: 'waiting for the subnet' }))).toEqual([
    'waiting',
    ['waiting for the subnet'],
  ]);
  expect(brief(status({ ready: false, serving: true, reason: 'silent', lastPass: PASS }))).toEqual([
    'waiting',
    ['silent'],
  ]);
  expect(brief(status({ ready: false, reason: 'no device', lastPass: PASS }))).toEqual([
    'failing',
    ['no device'],
  ]);
  expect(brief(status({ lastPass: PASS }), 'no agent runs')).toEqual(['failing', ['no agent runs']]);
  expect(brief(undefined, 'no agent runs')).toEqual(['failing', ['no agent runs']]);
});

test('a reason that another one contains is not told twice; the store has its own', () => {
  const rules = { mode: 'nftables', state: 'failed', error: 'EPERM' };
  const store = { fromMemory: true, trouble: 'connection refused' };
  const given = status({ ready: false, reason: 'traffic rules: EPERM', lastPass: PASS, rules, store });
  expect(brief(given)).toEqual(['failing', ['traffic rules: EPERM', 'connection refused']]);
  expect(healthOf(given, undefined)).toMatchObject({
    startedAt: Date.parse('2026-01-01T00:00:00.000Z'),
    lastPass: { at: Date.parse('2026-01-01T00:00:01.000Z'), ms: 5 },
    store,
  });
});
