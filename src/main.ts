import { VERSION } from '#base/version.ts';
import { startPlugin } from '#cni/start.ts';

/** Every name that the executable answers to, with the code behind it. Nothing is loaded before it is called for. */
const PROGRAMS: Readonly<Record<string, (args: readonly string[]) => Promise<number>>> = {
  flanneld: async (args) => compiles(await import('#daemon/main.ts'), 30).daemonMain(args),
  flannelctl: async (args) => compiles(await import('#cli/main.ts'), 1).cliMain(args),
  flannel: () => startPlugin('flannel'),
  bridge: () => startPlugin('bridge'),
  'host-local': () => startPlugin('host-local'),
  loopback: () => startPlugin('loopback'),
  portmap: () => startPlugin('portmap'),
};

/**
 * The executable starts with little compilation to machine code (scripts/build.mjs), for plugins that live for milliseconds. The
 * programs for people compute for long: they compile as usual. The agent does thirty times more of a thing before it is compiled,
 * which spares it 3 to 6 MiB at its start and costs no CPU (docs/scale.md).
 */
function compiles<T>(program: T, scale: number): T {
  Bun.unsafe.setJITPolicy(scale);
  return program;
}

/** `argv0` is the name it was called by, also through links and PATH; a prefix such as `./flanneld` is cut. */
function programName(argv0: string): string {
  return argv0.slice(argv0.lastIndexOf('/') + 1);
}

/** The only place that turns errors into words for the user and an exit code. */
async function report(name: string, error: unknown): Promise<number> {
  const { cureOf, describe, FlannelError } = await import('#base/errors.ts');
  const cure = cureOf(error);
  const bug = !(error instanceof FlannelError) || error.actor === 'bug';
  const lines = [`${name}: ${describe(error)}`];
  if (cure !== undefined) lines.push(`  ${cure}`);
  if (bug && error instanceof Error)
    lines.push('  This is a fault of the program itself; please report it:', error.stack ?? '');
  console.error(lines.join('\n'));
  return bug ? 70 : 1;
}

async function main(): Promise<number> {
  const name = programName(process.argv0);
  const args = process.argv.slice(2);
  const program = PROGRAMS[name];
  if (program === undefined) {
    console.error(`flannel: called as "${name}"; it answers to ${Object.keys(PROGRAMS).join(', ')}`);
    return 64;
  }
  if (args.length === 1 && (args[0] === '--version' || args[0] === '-version')) {
    console.log(`${name} v${VERSION}`);
    return 0;
  }
  try {
    return await program(args);
  } catch (error) {
    return await report(name, error);
  }
}

process.exitCode = await main();
process.exit();
