import { mkdirSync, readFileSync } from 'node:fs';
import type { JsonObject, KubeObject } from '#lab/api/object.ts';
import { objectsOfYaml, sourcePath } from './packaging.ts';

const CHART = sourcePath('packaging/helm/flannel');
const RELEASE = { Name: 'flannel', Namespace: 'kube-flannel', Service: 'Helm' };

/** What the chart is rendered with. */
export interface ChartInput {
  readonly values?: object;
  /** The DaemonSet that is in the cluster already. */
  readonly lookup?: KubeObject;
}

export interface Rendered {
  /** As the templates saw them: the chart's own and the given ones. */
  readonly values: JsonObject;
  /** Texts by the templates' names; null when one failed. */
  readonly files: Readonly<Record<string, string>> | null;
  /** The template engine's words; '' when all went well. */
  readonly error: string;
}

/** Runs a program with `input` on its standard input; returns what it prints, or throws its own words. */
function answer(argv: readonly string[], input: object, env: Readonly<Record<string, string>> = {}): string {
  const done = Bun.spawnSync([...argv], {
    stdin: Buffer.from(JSON.stringify(input)),
    stdout: 'pipe',
    stderr: 'pipe',
    env: { PATH: process.env['PATH'] ?? '', ...env },
  });
  if (done.exitCode !== 0) throw new Error(`${argv[0]} failed: ${done.stderr.toString()}`);
  return done.stdout.toString();
}

/** Renders the chart with each input, by Go's template engine: see test/helm/render.go. */
export function renderChart<Name extends string>(
  inputs: Readonly<Record<Name, ChartInput>>,
): Record<Name, Rendered> {
  const cache = sourcePath('dist/cache/go');
  mkdirSync(cache, { recursive: true });
  const program = `${cache}/render`;
  const env = {
    GOPATH: '/usr/share/gocode',
    GO111MODULE: 'off',
    GOCACHE: cache,
    GOFLAGS: '',
    CGO_ENABLED: '0',
  };
  answer(['go', 'build', '-o', program, sourcePath('test/helm/render.go')], {}, env);
  const request = { chart: CHART, release: RELEASE, cases: inputs };
  return JSON.parse(answer([program], request)) as Record<Name, Rendered>;
}

/** What is wrong with each case's values, after the chart's schema. */
export function validateValues<Name extends string>(
  cases: Readonly<Record<Name, JsonObject>>,
): Record<Name, string[]> {
  const schema: unknown = JSON.parse(readFileSync(`${CHART}/values.schema.json`, 'utf8'));
  const program = ['/usr/bin/python3', '-I', sourcePath('test/helm/validate.py')];
  return JSON.parse(answer(program, { schema, cases })) as Record<Name, string[]>;
}

/** The Kubernetes objects of a rendering; throws the engine's words when there is none. */
export function renderedObjects({ files, error }: Rendered): KubeObject[] {
  if (files === null) throw new Error(error);
  return Object.entries(files)
    .filter(([name]) => name.endsWith('.yaml'))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([, text]) => objectsOfYaml(text));
}
