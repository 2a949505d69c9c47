import { en, type Messages } from './en.ts';
import { ko } from './ko.ts';

export const LANGUAGES = { en, ko } as const satisfies Readonly<Record<string, Messages>>;
export type Language = keyof typeof LANGUAGES;

const KNOWN = Object.keys(LANGUAGES) as readonly Language[];

/** The kept choice, else the first language of the reader that there is, else English. */
export function chooseLanguage(kept: string | null, wanted: readonly string[]): Language {
  const tags = [kept ?? '', ...wanted].map((tag) => tag.toLowerCase().split('-', 1)[0]);
  return tags.map((tag) => KNOWN.find((known) => known === tag)).find((found) => found !== undefined) ?? 'en';
}

export function nextLanguage(language: Language): Language {
  return KNOWN[(KNOWN.indexOf(language) + 1) % KNOWN.length] ?? 'en';
}
