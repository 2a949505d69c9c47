// `bun scripts/node/bundle.ts <file> [<source>]`: the program, or another source file, as one ES module for Node, in which no
// module of Bun's is left.
import { rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { bundlePage } from '#page/server/bundle.ts';

const root = join(import.meta.dir, '../..');
const [out = '', source = join(root, 'src/main-node.ts')] = process.argv.slice(2);

/** An import at the head of a bundle loads its module at every start, `node:http` for 40 ms; this loads it where it is used. */
async function lazily(name: string): Promise<string> {
  const names = Object.keys((await import(name)) as object).filter((key) => key !== 'default');
  return [
    `const module = process.getBuiltinModule(${JSON.stringify(name)});`,
    `export const { ${names.join(', ')} } = module;`,
    'export default module;',
  ].join('\n');
}

// Here, since what is defined below for Node would be so in the macro, too, which Bun runs.
const page = JSON.stringify(bundlePage());

const result = await Bun.build({
  entrypoints: [source],
  target: 'node',
  format: 'esm',
  // Not to letters: what a user sends in with an error message must be readable.
  minify: { syntax: true },
  // As an executable and as a script alike; `argv0` and `execPath` of a script are Node's own.
  banner: `const CALLED_AS = process.argv[1];
const PROGRAM_FILE = process.getBuiltinModule('node:sea').isSea() ? process.execPath : process.argv[1];`,
  define: { 'process.argv0': 'CALLED_AS', 'process.execPath': 'PROGRAM_FILE' },
  outdir: dirname(out),
  naming: '[name].bundle.mjs',
  plugins: [
    {
      name: 'node',
      setup(build) {
        build.onResolve({ filter: /^\.\/engine\.ts$/ }, () => ({
          path: join(root, 'src/ffi/engine-node.ts'),
        }));
        build.onLoad({ filter: /page\/server\/assets\.ts$/ }, () => ({
          contents: `export const pageFiles = ${page};`,
          loader: 'js',
        }));
        build.onResolve({ filter: /^node:/ }, ({ path }) => ({ path, namespace: 'lazily' }));
        build.onLoad({ filter: /./, namespace: 'lazily' }, async ({ path }) => ({
          contents: await lazily(path),
          loader: 'js',
        }));
      },
    },
  ],
});
const [bundle, ...others] = result.outputs;
if (bundle === undefined || others.length > 0)
  throw new Error(`one file expected, not ${result.outputs.length}`);
const text = await bundle.text();
if (/from "bun|bun:ffi/.test(text)) throw new Error('the bundle imports a module of Bun');
await rename(bundle.path, out);
