import { mkdirSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { ConfigError, FlannelError, hasErrno } from '#base/errors.ts';
import { readSubnetEnv, type SubnetEnv } from '#subnet/env.ts';
import { dockerOptions } from './options.ts';

export const DOCKER_HELP = `usage: flannelctl docker-opts [-f file] [-d file] [-i] [-c] [-m] [-k name]

Writes the options that put Docker's bridge into this node's subnet, as mk-docker-opts.sh does.

  -f file   subnet file of the agent (/run/flannel/subnet.env)
  -d file   file to write; - is standard output (/run/docker_opts.env)
  -i        one variable for each option: DOCKER_OPT_BIP, DOCKER_OPT_IPMASQ, DOCKER_OPT_MTU
  -c        all options in one variable; without -i and -c: both
  -k name   that variable's name (DOCKER_OPTS)
  -m        without --ip-masq
`;

interface Arguments {
  readonly subnetFile: string;
  readonly output: string;
  readonly individual: boolean;
  readonly combined: boolean;
  readonly combinedKey: string;
  readonly ipMasq: boolean;
  readonly help: boolean;
}

/** Parses as getopts does: flags may stand together, a value follows or is joined. Throws ConfigError. */
export function parseArguments(args: readonly string[]): Arguments {
  const values = { f: '/run/flannel/subnet.env', d: '/run/docker_opts.env', k: 'DOCKER_OPTS' };
  const flags = { i: false, c: false, m: false, h: false };
  for (let at = 0; at < args.length; at += 1) {
    const argument = args[at] ?? '';
    if (argument === '--help') flags.h = true;
    else if (!/^-[a-z]/.test(argument)) throw unknown(argument);
    else {
      for (let letter = 1; letter < argument.length; letter += 1) {
        const name = argument.charAt(letter);
        if (Object.hasOwn(flags, name)) flags[name as keyof typeof flags] = true;
        else if (Object.hasOwn(values, name)) {
          const joined = argument.slice(letter + 1);
          if (joined === '') at += 1;
          const value = joined === '' ? args[at] : joined;
          if (value === undefined || value === '') throw new ConfigError(`-${name}`, 'takes a value');
          values[name as keyof typeof values] = value;
          break;
        } else throw unknown(`-${name}`);
      }
    }
  }
  if (!/^[A-Za-z_]\w*$/.test(values.k)) {
    throw new ConfigError('-k', `${JSON.stringify(values.k)} is no name of a variable`);
  }
  const both = !flags.i && !flags.c;
  return {
    subnetFile: values.f,
    output: values.d,
    individual: flags.i || both,
    combined: flags.c || both,
    combinedKey: values.k,
    ipMasq: !flags.m,
    help: flags.h,
  };
}

function unknown(argument: string): ConfigError {
  return new ConfigError('docker-opts', `${JSON.stringify(argument)} is not an option`, {
    cure: 'flannelctl docker-opts --help lists them',
  });
}

/** `flannelctl docker-opts`. Returns the exit code: 0, or 64 for a wrong command line. */
export function dockerOptsMain(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): number {
  let parsed: Arguments;
  try {
    parsed = parseArguments(args);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    writeSync(2, `flannelctl: ${error.message}${error.cure === undefined ? '' : `\n  ${error.cure}`}\n`);
    return 64;
  }
  if (parsed.help) {
    writeSync(1, DOCKER_HELP);
    return 0;
  }
  const text = dockerOptions({ ...parsed, env: readEnv(parsed.subnetFile), environment });
  if (parsed.output === '-') writeSync(1, text);
  else write(parsed.output, text);
  return 0;
}

function readEnv(path: string): SubnetEnv {
  try {
    return readSubnetEnv(path);
  } catch (error) {
    if (!hasErrno(error, 'ENOENT')) throw error;
    throw new FlannelError('operator', `${path} is not there`, {
      cure: 'Start flanneld first: it writes the file when it is ready',
    });
  }
}

/** So that Docker never reads half a file. */
function write(path: string, text: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true });
    const temporary = `${path}.${process.pid}`;
    writeFileSync(temporary, text, { mode: 0o644 });
    renameSync(temporary, path);
  } catch (error) {
    throw new FlannelError('operator', `${path} cannot be written`, { cause: error });
  }
}
