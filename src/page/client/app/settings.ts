import { chooseLanguage, type Language } from '../text/languages.ts';
import { THEMES, type Theme } from './state.ts';

/** Language and colours, kept in this browser where it allows that. */
export class Settings {
  language(wanted: readonly string[]): Language {
    return chooseLanguage(read('language'), wanted);
  }

  theme(): Theme {
    const kept = read('theme');
    return THEMES.find((theme) => theme === kept) ?? 'system';
  }

  keep(name: 'language' | 'theme', value: string): void {
    try {
      localStorage.setItem(`flannel.${name}`, value);
    } catch {
      // Storage is off or full: the choice holds until the page is closed.
    }
  }
}

function read(name: string): string | null {
  try {
    return localStorage.getItem(`flannel.${name}`);
  } catch {
    return null;
  }
}
