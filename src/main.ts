import { writeSync } from 'node:fs';
import { cureOf, describe, FlannelError } from '#base/errors.ts';
import { VERSION } from '#base/version.ts';

/** Every name that the executable answers to, with the code behind it. Nothing is loaded before it is called for. */
const PROGRAMS: Readonly<Record<string, (args: readonly string[]) => Promise<number>>> = {
  flanneld: async (args) => (await import('#daemon/main.ts')).daemonMain(args),
  flannelctl: async (args) => (await import('#cli/main.ts')).cliMain(args),
  flannel: async () => (await import('#cni/main.ts')).pluginMain('flannel'),
  bridge: async () => (await import('#cni/main.ts')).pluginMain('bridge'),
  'host-local': async () => (await import('#cni/main.ts')).pluginMain('host-local'),
  loopback: async () => (await import('#cni/main.ts')).pluginMain('loopback'),
  portmap: async () => (await import('#cni/main.ts')).pluginMain('portmap'),
};

/** `argv0` is the name it was called by, also through links and PATH; a prefix such as `./flanneld` is cut. */
function programName(argv0: string): string {
  return argv0.slice(argv0.lastIndexOf('/') + 1);
}

/** The only place that turns errors into words for the user and an exit code. */
function report(name: string, error: unknown): number {
  const cure = cureOf(error);
  const bug = !(error instanceof FlannelError) || error.actor === 'bug';
  const lines = [`${name}: ${describe(error)}`];
  if (cure !== undefined) lines.push(`  ${cure}`);
  if (bug && error instanceof Error)
    lines.push('  This is a fault of the program itself; please report it:', error.stack ?? '');
  writeSync(2, `${lines.join('\n')}\n`);
  return bug ? 70 : 1;
}

async function main(): Promise<number> {
  const name = programName(process.argv0);
  const args = process.argv.slice(2);
  const program = PROGRAMS[name];
  if (program === undefined) {
    writeSync(2, `flannel: called as "${name}"; it answers to ${Object.keys(PROGRAMS).join(', ')}\n`);
    return 64;
  }
  if (args.length === 1 && (args[0] === '--version' || args[0] === '-version')) {
    writeSync(1, `${name} v${VERSION}\n`);
    return 0;
  }
  try {
    return await program(args);
  } catch (error) {
    return report(name, error);
  }
}

process.exitCode = await main();
process.exit();
