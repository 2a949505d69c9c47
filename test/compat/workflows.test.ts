import { expect, test } from 'bun:test';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import manifest from '../../package.json';

const root = join(import.meta.dir, '../..');
const folder = join(root, '.github/workflows');
const files = readdirSync(folder);

interface Step {
  readonly uses?: string;
  readonly run?: string;
}

interface Job {
  readonly 'runs-on': string;
  readonly container?: unknown;
  readonly steps: readonly Step[];
}

interface Workflow {
  readonly name: string;
  readonly permissions: Readonly<Record<string, string>>;
  readonly jobs: Readonly<Record<string, Job>>;
}

/** Not checked here beyond what the tests read. */
function workflow(file: string): Workflow {
  return Bun.YAML.parse(readFileSync(join(folder, file), 'utf8')) as Workflow;
}

const stepsOf = (file: string) => Object.values(workflow(file).jobs).flatMap(({ steps }) => steps);

test('there are two workflows', () => {
  expect(files.toSorted()).toEqual(['ci.yml', 'release.yml']);
  expect(files.map((file) => `${workflow(file).name}.yml`)).toEqual(files);
});

test.each(files)('%s takes nothing that can change under its name', (file) => {
  for (const { uses } of stepsOf(file)) expect(uses ?? 'none').toMatch(/^none$|@[0-9a-f]{40}$/);
  for (const job of Object.values(workflow(file).jobs)) {
    expect(JSON.stringify(job.container ?? '@sha256:')).toContain('@sha256:');
    expect(job['runs-on']).not.toContain('latest');
  }
});

test.each(files)('%s may read, no text of strangers gets into its commands, and bash takes them', (file) => {
  expect(workflow(file).permissions).toEqual({ contents: 'read' });
  const runs = stepsOf(file).flatMap(({ run }) => run ?? []);
  expect(runs.length).toBeGreaterThan(3);
  for (const run of runs) {
    expect(run).not.toContain('${{');
    const done = Bun.spawnSync(['bash', '-n'], { stdin: Buffer.from(run) });
    expect([run, done.exitCode, done.stderr.toString()]).toEqual([run, 0, '']);
  }
});

test.each(files)('%s calls what there is', (file) => {
  const text = stepsOf(file)
    .map(({ run }) => run ?? '')
    .join('\n');
  const scripts: Readonly<Record<string, string>> = manifest.scripts;
  const called = [...text.matchAll(/\bnpm run ([\w-]+)/g)].map(([, name = '']) => name);
  expect(called.filter((name) => scripts[name] === undefined)).toEqual([]);
  const paths = [...text.matchAll(/(?<=\s)((?:scripts|\.ci)\/[\w.-]+)/g)].map(([, path = '']) => path);
  expect(paths).not.toEqual([]);
  expect(paths.filter((path) => !existsSync(join(root, path)))).toEqual([]);
});
