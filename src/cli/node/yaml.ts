/** What every reader of YAML, 1.1 or 1.2, takes for a text as it stands: no number, time, truth value or mark of the syntax. */
const BARE = /^[A-Za-z/][\w./-]*(?: [\w./()-]+)*$/;
/** Words that mean something else (YAML 1.1 `bool`, `null`, `float`). */
const WORDS = /^(?:y|n|yes|no|on|off|true|false|null)$/i;
/** Addresses, CIDRs, with a letter or with more than one dot: no number in any version. MACs of digits alone are times. */
const ADDRESS =
  /^(?:\d+\.\d+\.\d+\.\d+(?:\/\d+)?|(?=[^g-zG-Z]*[a-fA-F])[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5})$/;

/** A JSON value as lines of YAML: block style, texts in quotes unless they are harmless, which every version reads back alike. */
export function yamlLines(value: unknown): string[] {
  if (Array.isArray(value)) return value.length === 0 ? ['[]'] : value.flatMap(item);
  if (typeof value !== 'object' || value === null) return [scalar(value)];
  const fields = Object.entries(value);
  return fields.length === 0 ? ['{}'] : fields.flatMap(field);
}

function item(value: unknown): string[] {
  return yamlLines(value).map((line, at) => (at === 0 ? `- ${line}` : `  ${line}`));
}

function field([key, value]: [string, unknown]): string[] {
  const lines = yamlLines(value);
  const [first = ''] = lines;
  const inline = typeof value !== 'object' || value === null || first === '[]' || first === '{}';
  if (inline) return [`${scalar(key)}: ${first}`];
  return [`${scalar(key)}:`, ...lines.map((line) => `  ${line}`)];
}

function scalar(value: unknown): string {
  if (typeof value !== 'string') return JSON.stringify(value);
  return (BARE.test(value) && !WORDS.test(value)) || ADDRESS.test(value) ? value : JSON.stringify(value);
}
