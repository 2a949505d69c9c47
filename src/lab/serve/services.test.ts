import { expect, test } from 'bun:test';
import { serviceTable } from './services.ts';

test('marks before it translates, and only what does not come from a pod', () => {
  const table = serviceTable('10.244.3.2');
  const services = table.chains.find(({ name }) => name === 'services');
  const last = services?.rules.map(({ expressions }) => expressions.at(-1)?.kind);
  expect(last).toEqual(['other', 'nat', 'other', 'nat']);
  const hooks = table.chains.flatMap(({ hook }) =>
    hook === undefined ? [] : [`${hook.point} ${hook.priority}`],
  );
  expect(hooks).toEqual(['prerouting -100', 'output -100', 'postrouting 100']);
});
