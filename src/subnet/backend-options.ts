import type { BackendConfig } from './config.ts';
import { booleanField, type Fields, integerField, stringField, unknownKeys, wrong } from './fields.ts';

/** What a backend says of one of its keys. Without `fallback` a missing key reads as undefined. */
export type OptionSpec = {
  /** For the reference in docs/configuration.md, which is generated: what it means, one line of Markdown. */
  readonly help: string;
} & (
  | { readonly kind: 'integer'; readonly min: number; readonly max: number; readonly fallback?: number }
  | { readonly kind: 'boolean'; readonly fallback: boolean }
  | {
      readonly kind: 'string';
      readonly fallback?: string;
      readonly maxLength?: number;
      readonly allowed?: readonly string[];
    }
);

/** Keys in their documented spelling, e.g. `{ VNI: { kind: 'integer', min: 1, max: 0xffffff, fallback: 1 } }`. */
export type OptionSchema = Readonly<Record<string, OptionSpec>>;

type Value<S extends OptionSpec> = S extends { kind: 'integer' }
  ? number | (S extends { fallback: number } ? never : undefined)
  : S extends { kind: 'boolean' }
    ? boolean
    : string | (S extends { fallback: string } ? never : undefined);

/** The values by documented key. */
export type OptionValues<S extends OptionSchema> = { readonly [K in keyof S]: Value<S[K]> };

/**
 * Reads a backend's options by `schema`; keys are matched without regard to case. Unknown keys are warnings. Throws
 * ConfigError naming file, key, value and what is allowed.
 */
export function readBackendOptions<const S extends OptionSchema>(
  backend: BackendConfig,
  schema: S,
): { readonly options: OptionValues<S>; readonly warnings: readonly string[] } {
  const fields: Fields = { values: new Map(Object.entries(backend.options)), path: backend.path };
  const entries = Object.entries(schema).map(([key, spec]) => [key, readOption(fields, key, spec)] as const);
  const warnings = unknownKeys(backend.spelling, ['Type', ...Object.keys(schema)], backend.path);
  return { options: Object.freeze(Object.fromEntries(entries)) as OptionValues<S>, warnings };
}

function readOption(fields: Fields, key: string, spec: OptionSpec): unknown {
  switch (spec.kind) {
    case 'integer':
      return integerField(fields, key, spec) ?? spec.fallback;
    case 'boolean':
      return booleanField(fields, key, spec.fallback);
    case 'string': {
      const value = stringField(fields, key, spec.maxLength);
      if (value !== undefined && spec.allowed?.includes(value) === false) {
        throw wrong(fields, key, `one of ${spec.allowed.join(', ')}`);
      }
      return value ?? spec.fallback;
    }
  }
}
