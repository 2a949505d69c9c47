// The soak itself, in a network namespace of its own, which is the underlay of its nodes.
import { describe, FlannelError } from '#base/errors.ts';
import { standardScreen } from '#lab/report/screen.ts';
import { kindsNamed, FAULT_KINDS } from './catalogue.ts';
import { HELP, parseSoakArguments, type SoakOptions } from './options.ts';
import { runSoak } from './soak.ts';
import { Stage } from './stage.ts';

const screen = standardScreen(false, process.env);

async function main(args: readonly string[]): Promise<number> {
  const [fresh = 0] = crypto.getRandomValues(new Uint32Array(1));
  let options: SoakOptions;
  try {
    options = parseSoakArguments(args, fresh);
    if (options.help) {
      screen.line(HELP.trimEnd());
      return 0;
    }
    if (options.faults?.length === 1 && options.faults[0] === 'list') {
      screen.lines(FAULT_KINDS.map(({ name }) => name));
      return 0;
    }
    kindsNamed(options.faults);
  } catch (error) {
    if (!(error instanceof FlannelError)) throw error;
    screen.line(`soak: ${describe(error)}`);
    return 2;
  }
  screen.line(describeRun(options));
  const stage = new Stage();
  const { promise: stopped, resolve } = Promise.withResolvers<number>();
  for (const [signal, code] of [
    ['SIGINT', 130] as const,
    ['SIGTERM', 143] as const,
    ['SIGHUP', 129] as const,
  ])
    process.on(signal, () => resolve(code));
  const code = await Promise.race([runSoak({ options, stage, screen }), stopped]);
  const left = stage.clear();
  for (const what of left) screen.line(`FAILED: ${what} is still there at the end`);
  return left.length === 0 ? code : 1;
}

function describeRun({ seed, minutes, nodes, backend, families, traffic }: SoakOptions): string {
  return `soak: seed ${seed}, ${minutes} minutes, ${nodes} nodes, ${backend}, ${families}, ${traffic}`;
}

process.exit(await main(process.argv.slice(2)));
