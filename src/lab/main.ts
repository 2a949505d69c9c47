import type { LabCommand } from './command/options.ts';
import type { Screen } from './report/screen.ts';

/** Inner commands: children of a lab, not meant for people. Each gets its arguments as they stand. */
const INNER: Readonly<Record<string, (args: readonly string[]) => Promise<number>>> = {
  __serve: async ([options = '']) => (await import('./serve/main.ts')).serveMain(options),
  __node: async ([folders = '']) => {
    const { parseNodeFolders, prepareNode } = await import('./serve/node-folders.ts');
    prepareNode(parseNodeFolders(folders));
    return 0;
  },
  __echo: async (args) => (await import('./probe/main.ts')).echoMain(args),
  __probe: async ([requests = '']) => (await import('./probe/main.ts')).probeMain(requests),
  __stream: async ([host = '', port = '']) => (await import('./probe/stream.ts')).streamMain(host, port),
  __capture: async ([token = '']) => (await import('./walk/capture.ts')).captureMain(token),
};

/** `flannelctl lab`: returns the exit code; 1 also when a check failed. */
export async function labMain(args: readonly string[]): Promise<number> {
  const inner = INNER[args[0] ?? ''];
  if (inner !== undefined) return inner(args.slice(1));
  const { parseLabArguments } = await import('./command/options.ts');
  const { standardScreen } = await import('./report/screen.ts');
  const { isatty } = await import('node:tty');
  const command = parseLabArguments(args);
  return runCommand(command, standardScreen(isatty(1), process.env));
}

async function runCommand(command: LabCommand, screen: Screen): Promise<number> {
  switch (command.command) {
    case 'help': {
      const { HELP } = await import('./command/help.ts');
      screen.line(HELP.trimEnd());
      return 0;
    }
    case 'run':
      return (await import('./command/tour.ts')).tour(command.options, screen);
    case 'up':
      return (await import('./command/tour.ts')).upOnly(command.options, screen);
    case 'status':
      return (await import('./command/status.ts')).status(command.name, screen);
    case 'exec':
      return (await import('./command/exec.ts')).exec(command.name, command.place, command.argv);
    case 'verify':
      return (await import('./verify/main.ts')).verify(command.name, screen);
    case 'walk':
      return (await import('./walk/main.ts')).walk(command.name, endsOf(command), screen);
    case 'page':
      return (await import('./page/main.ts')).page(command.name, command.address, screen);
    case 'break':
      return (await import('./break/main.ts')).breakAndWait(command, screen);
    case 'migrate':
      return (await import('./migrate/main.ts')).migrate(command.options, screen);
    case 'down':
      (await import('./command/down.ts')).down(command.name, screen);
      return 0;
  }
}

function endsOf(command: LabCommand & { command: 'walk' }): { from: string; to: string } | undefined {
  const { from, to } = command;
  return from === undefined || to === undefined ? undefined : { from, to };
}
