import { daemonMain } from '#daemon/main.ts';

/** flanneld from its sources, for tests: `bun test/support/flanneld.ts <flags>`. */
const tuning = { silence: 'TEST_SILENCE_MS', patience: 'TEST_PATIENCE_MS', saveEvery: 'TEST_SAVE_MS' };
const given = Object.entries(tuning).flatMap(([key, name]) => {
  const value = process.env[name];
  return value === undefined ? [] : [[key, Number(value)] as const];
});
process.exitCode = await daemonMain(process.argv.slice(2), Object.fromEntries(given));
process.exit();
