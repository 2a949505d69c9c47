import { VERSION } from '#base/version.ts';
import { FLAGS, type FlagSpec } from './flag-table.ts';

/** `flanneld --help`: the flags by group, with their defaults. */
export function helpText(): string {
  const groups = new Map<string, string[]>();
  for (const [name, spec] of Object.entries<FlagSpec>(FLAGS)) {
    const lines = groups.get(spec.group) ?? [];
    lines.push(flagLine(name, spec));
    groups.set(spec.group, lines);
  }
  const sections = [...groups].map(([group, lines]) => `${group}:\n${lines.join('\n')}\n`);
  return [
    `flanneld v${VERSION} - gives this node its piece of the pod network and connects it with the others\n`,
    'usage: flanneld --kube-subnet-mgr --ip-masq [flags]\n',
    ...sections,
    'One dash or two; --flag=value or --flag value; booleans --flag or --flag=false.',
    'Every flag is also an environment variable: FLANNELD_ + upper case, dashes to underscores.',
    'NODE_NAME names the Node (else POD_NAME and POD_NAMESPACE are looked up).\n',
  ].join('\n');
}

function flagLine(name: string, spec: FlagSpec): string {
  const left = spec.kind === 'boolean' ? `--${name}` : `--${name} <${spec.value}>`;
  const shown = Array.isArray(spec.fallback) ? '' : String(spec.fallback);
  const tail = shown === '' ? '' : ` (default ${shown})`;
  return left.length > 34
    ? `  ${left}\n${' '.repeat(38)}${spec.help}${tail}`
    : `  ${left.padEnd(36)}${spec.help}${tail}`;
}
