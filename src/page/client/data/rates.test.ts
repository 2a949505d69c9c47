import { expect, test } from 'bun:test';
import type { Counters } from '../../model.ts';
import { Meter } from './rates.ts';

function counters(bytes: number): Counters {
  return { rxBytes: bytes, txBytes: 2 * bytes, rxPackets: bytes / 100, txPackets: bytes / 50, dropped: 0 };
}

function take(meter: Meter, at: number, bytes: number | undefined): void {
  meter.take(at, new Map(bytes === undefined ? [] : [['eth0', counters(bytes)]]));
}

test('the rate is what two answers differ by, per second', () => {
  const meter = new Meter();
  take(meter, 1000, 5000);
  expect(meter.rate('eth0')).toBeUndefined();
  take(meter, 3000, 6000);
  expect(meter.rate('eth0')).toEqual({ rxBytes: 500, txBytes: 1000, rxPackets: 5, txPackets: 10 });
  expect(meter.history('eth0')).toEqual([1500]);
  expect(meter.rate('other')).toBeUndefined();
});

test('the same answer again changes nothing', () => {
  const meter = new Meter();
  for (const at of [1000, 2000, 2000]) take(meter, at, at);
  expect(meter.rate('eth0')?.rxBytes).toBe(1000);
  expect(meter.history('eth0')).toHaveLength(1);
});

test('an interface that was made anew, or a clock that was set back, has no rate', () => {
  const meter = new Meter();
  take(meter, 1000, 5000);
  take(meter, 2000, 10);
  expect(meter.rate('eth0')).toBeUndefined();
  take(meter, 3000, 20);
  expect(meter.rate('eth0')?.rxBytes).toBe(10);
  take(meter, 500, 30);
  expect(meter.rate('eth0')).toBeUndefined();
  expect(meter.history('eth0')).toEqual([]);
});

test('what is gone is forgotten, and the past is bounded', () => {
  const meter = new Meter();
  for (let i = 0; i < 100; i += 1) take(meter, i * 1000, i * 1000);
  expect(meter.history('eth0')).toHaveLength(40);
  take(meter, 200_000, undefined);
  expect(meter.rate('eth0')).toBeUndefined();
  take(meter, 201_000, 1e6);
  expect(meter.rate('eth0')).toBeUndefined();
});
