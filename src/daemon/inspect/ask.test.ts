import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { askAgent, NoAgent } from './ask.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(`${tmpdir()}/flannel-ask-`);
});

afterEach(() => rmSync(folder, { recursive: true }));

const socket = () => `${folder}/agent.sock`;
const asked = (patience?: number) => askAgent(socket(), '/status', patience).catch((error: unknown) => error);

test('why there is no answer is told apart', async () => {
  const missing = await asked();
  expect(missing).toBeInstanceOf(NoAgent);
  expect(String(missing)).toContain('no agent runs');
  writeFileSync(socket(), '');
  expect(await asked()).toBeInstanceOf(NoAgent);
  rmSync(socket());
  // Takes connections and says nothing, as a process that is stopped does.
  using listener = Bun.listen({ unix: socket(), socket: { data: () => {} } });
  const start = performance.now();
  const hanging = await asked(200);
  expect(hanging).toBeInstanceOf(NoAgent);
  expect(String(hanging)).toContain('the agent hangs: no answer within 0.2 s');
  expect(performance.now() - start).toBeLessThan(20_000);
  listener.stop(true);
});

test('an agent that begins an answer and stops in it hangs, too', async () => {
  const fetch = () =>
    new Response(
      new ReadableStream({ start: (controller) => controller.enqueue(new TextEncoder().encode('{"ready"')) }),
    );
  using _server = Bun.serve({ unix: socket(), fetch });
  expect(String(await asked(200))).toContain('the agent hangs');
});

test('an agent that is not ready says so; an answer that nobody knows is no answer', async () => {
  let status = 503;
  using _server = Bun.serve({ unix: socket(), fetch: () => new Response('not yet\n', { status }) });
  const early = await asked();
  expect(early).toBeInstanceOf(NoAgent);
  expect(String(early)).toContain('not yet');
  status = 404;
  const old = await asked();
  expect(old).not.toBeInstanceOf(NoAgent);
  expect(String(old)).toContain('the agent answers 404 to GET /status');
});
