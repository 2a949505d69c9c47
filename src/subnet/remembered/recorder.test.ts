import { expect, test } from 'bun:test';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '#base/log.ts';
import { Cidr } from '#net/cidr.ts';
import { Recorder } from './recorder.ts';
import type { Snapshot } from './snapshot.ts';

const STATE: Snapshot = {
  own: {
    name: 'n1',
    subnets: { ipv4: Cidr.parse('10.0.7.0/24') },
    backendType: 'vxlan',
    backendData: {},
    publicIp: {},
  },
  leases: new Map(),
};

/** Sleeps end when the test says so; `asleep` tells when the recorder has gone to sleep, and for how long. */
class Sleeps {
  #told = Promise.withResolvers<number>();
  #wake = () => {};

  sleep(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    this.#told.resolve(ms);
    return promise;
  }

  async asleep(): Promise<number> {
    const ms = await this.#told.promise;
    this.#told = Promise.withResolvers();
    return ms;
  }

  wake(): void {
    this.#wake();
  }
}

test('a change after a quiet time is written soon, changes one after the other seldom', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'recorder-'));
  const path = join(folder, 'last-known');
  const time = new Sleeps();
  const written = () => statSync(path, { throwIfNoEntry: false })?.ino;
  const recorder = new Recorder({
    path,
    owner: { source: 'kube p/', node: 'n1', networks: { ipv4: Cidr.parse('10.0.0.0/8') } },
    state: () => STATE,
    clock: { now: () => 0, monotonic: () => 0, sleep: (ms) => time.sleep(ms) },
    log: silentLogger,
    interval: 30_000,
  });
  try {
    recorder.changed();
    expect(await time.asleep()).toBe(3000);
    expect(written()).toBeUndefined();
    time.wake();
    expect(await time.asleep()).toBe(30_000);
    const first = written();
    expect(first).toBeDefined();
    // Meanwhile something changes: it waits for its turn.
    recorder.changed();
    time.wake();
    expect(await time.asleep()).toBe(30_000);
    const second = written();
    expect(second).not.toBe(first);
    // Nothing changes for a whole interval: nothing is written, nobody waits.
    time.wake();
    await Bun.sleep(0);
    expect(written()).toBe(second);
    recorder.changed();
    expect(await time.asleep()).toBe(3000);
    time.wake();
    expect(await time.asleep()).toBe(30_000);
    expect(written()).not.toBe(second);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
