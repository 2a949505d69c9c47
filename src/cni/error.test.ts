import { expect, test } from 'bun:test';
import { invalidConfig, renderError } from './error.ts';

function rendered(message: string, details?: string) {
  return JSON.parse(renderError(invalidConfig(message, details), '1.0.0')) as {
    msg: string;
    details?: string;
  };
}

test('a quoted value of any length leaves beginning and end of the message', () => {
  const { msg, details } = rendered(`bridge: "${'x'.repeat(70_000)}" is no name`, 'y'.repeat(3000));
  expect(msg.length).toBeLessThan(2100);
  expect(msg).toMatch(/^bridge: "x+ \[\.\.\.\] x+" is no name$/);
  expect(details?.length).toBeLessThan(2100);
});

test('what is short stays as it is', () => {
  expect(rendered('no name')).toEqual(expect.objectContaining({ code: 7, msg: 'no name' }));
});
