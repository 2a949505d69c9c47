import { appendFileSync } from 'node:fs';

/** One line of what the lab process tells `up`. */
export type ProgressEvent =
  | { readonly type: 'step'; readonly text: string; readonly ms: number }
  | { readonly type: 'ready'; readonly ms: number }
  | { readonly type: 'failed'; readonly message: string; readonly cure?: string | undefined };

export function appendProgress(path: string, event: ProgressEvent): void {
  appendFileSync(path, `${JSON.stringify(event)}\n`);
}

/** Whole lines of the progress file behind `from` bytes, and where the next read begins. */
export function parseProgress(bytes: Uint8Array, from: number): { events: ProgressEvent[]; next: number } {
  const end = bytes.lastIndexOf(10) + 1;
  if (end <= from) return { events: [], next: from };
  const lines = new TextDecoder().decode(bytes.subarray(from, end)).trimEnd().split('\n');
  return { events: lines.map((line) => JSON.parse(line) as ProgressEvent), next: end };
}
