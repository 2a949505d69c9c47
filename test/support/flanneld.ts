import { daemonMain } from '#daemon/main.ts';

/** flanneld from its sources, for tests: `bun test/support/flanneld.ts <flags>`. */
const silence = process.env['TEST_SILENCE_MS'];
process.exitCode = await daemonMain(
  process.argv.slice(2),
  silence === undefined ? {} : { silence: Number(silence) },
);
process.exit();
