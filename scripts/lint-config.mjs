// Writes .oxlintrc.json from layers.json, so that the import table stands in one place.
import { readFileSync, writeFileSync } from 'node:fs';
import { root } from './bun.mjs';

const layers = JSON.parse(readFileSync(`${root}layers.json`, 'utf8'));

/** The lint configuration that enforces the import table. */
export function lintConfig() {
  const names = Object.keys(layers);
  const ffi = { name: 'bun:ffi', message: 'bun:ffi belongs to src/ffi alone' };
  return {
    $schema: './node_modules/oxlint/configuration_schema.json',
    plugins: ['typescript', 'import', 'unicorn', 'oxc', 'promise'],
    categories: { correctness: 'error', suspicious: 'error' },
    options: { typeAware: true },
    rules: {
      'import/no-cycle': 'error',
      'import/no-unassigned-import': 'off',
      'import/no-named-as-default-member': 'off',
      'typescript/no-explicit-any': 'error',
      'typescript/no-floating-promises': 'error',
      'typescript/no-misused-promises': 'error',
      'typescript/only-throw-error': 'error',
      'typescript/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      'typescript/no-unsafe-type-assertion': 'off',
      'typescript/no-unnecessary-type-arguments': 'off',
      'typescript/no-unnecessary-type-parameters': 'off',
      'typescript/consistent-return': 'off',
      // Ip, Cidr and Mac are values with a text form of their own.
      'typescript/restrict-template-expressions': 'off',
      'eslint/no-unmodified-loop-condition': 'off',
      'eslint/no-await-in-loop': 'off',
      'eslint/no-shadow': 'off',
      'eslint/no-underscore-dangle': 'off',
      'eslint/no-bitwise': 'off',
      'eslint/no-control-regex': 'off',
      'unicorn/no-array-sort': 'off',
      'unicorn/no-array-reverse': 'off',
      'unicorn/consistent-function-scoping': 'off',
      'unicorn/require-module-specifiers': 'off',
      'promise/always-return': 'off',
      'eslint/max-lines': ['error', { max: 500, skipBlankLines: false, skipComments: false }],
    },
    ignorePatterns: ['dist', 'node_modules', 'coverage'],
    overrides: names.map((name) => {
      const others = names.filter((other) => other !== name && !layers[name].includes(other));
      const patterns = [...others, 'main.ts'].map((other) => ({
        group: other === 'main.ts' ? ['#main.ts'] : [`#${other}/*`, `#${other}/**`],
        message: `layer ${name} must not import ${other} (layers.json)`,
      }));
      return {
        files: [`src/${name}/**`],
        rules: {
          'no-restricted-imports': ['error', { paths: name === 'ffi' ? [] : [ffi], patterns }],
        },
      };
    }),
  };
}

if (process.argv[1]?.endsWith('lint-config.mjs')) {
  writeFileSync(`${root}.oxlintrc.json`, `${JSON.stringify(lintConfig(), null, 2)}\n`);
}
