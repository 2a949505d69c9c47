import { writeSync } from 'node:fs';
import { orUnanswered } from './unanswered.ts';

export const HELP = `flannelctl - look at and try out the Flannel pod network

usage: flannelctl <command> [arguments]

  status          how this node's pod network is; --watch
  peers           the other nodes, as planned and as in the kernel
  pods            the pods of this node
  plan            everything that the agent wants in the kernel
  diff            what the kernel has otherwise
  page            the same as a page for the browser
  walk <from> <to>  where a packet would go, and where it would end
  doctor          what is wrong with this node's network, why it matters and what mends it; also before the first start
  lab [command]   a whole cluster network on this machine: nodes, pods, overlay ("flannelctl lab help")
  docker-opts     options that put Docker's bridge into this node's subnet ("flannelctl docker-opts --help")
  install-cni     put the CNI plugins and the conflist on this host
  cleanup         remove what Flannel made on this node, and nothing else
  version         print the version
  help            print this text
`;

const say = (line: string): void => void writeSync(1, `${line}\n`);

/** `flannelctl`: the program for people. Returns the exit code. */
export async function cliMain(args: readonly string[]): Promise<number> {
  const [command = 'help', ...rest] = args;
  switch (command) {
    case 'lab':
      return (await import('#lab/main.ts')).labMain(rest);
    case 'status':
    case 'peers':
    case 'pods':
    case 'plan':
    case 'diff':
      return orUnanswered(async () => (await import('./node/main.ts')).nodeMain(command, rest));
    case 'page':
      return (await import('./page/main.ts')).pageMain(rest);
    case 'walk':
      return orUnanswered(async () => (await import('./walk/main.ts')).walkMain(rest));
    case 'docker-opts':
      return (await import('./docker/main.ts')).dockerOptsMain(rest, process.env);
    case 'doctor':
      return orUnanswered(async () => (await import('./doctor/main.ts')).doctorMain(rest));
    case 'install-cni': {
      return (await import('./install/main.ts')).installMain(rest, { source: process.execPath, say });
    }
    case 'cleanup':
      return (await import('./cleanup/main.ts')).cleanupMain(rest, say);
    case 'version': {
      const { VERSION } = await import('#base/version.ts');
      writeSync(1, `flannelctl v${VERSION}\n`);
      return 0;
    }
    case 'help':
    case '--help':
    case '-h':
    case '-help':
      writeSync(1, HELP);
      return 0;
    default:
      writeSync(2, `flannelctl: unknown command ${JSON.stringify(command)}; "flannelctl help" lists them\n`);
      return 64;
  }
}
