import { bundlePage, type PageFiles } from './bundle.ts' with { type: 'macro' };

/**
 * The page's files, part of the program. Load this with `import()` when somebody opens the page, not before: it is some hundred KB of
 * text that nobody else needs.
 */
export const pageFiles: PageFiles = bundlePage();
