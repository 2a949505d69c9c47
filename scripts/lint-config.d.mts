/** The lint configuration that enforces layers.json. */
export function lintConfig(): unknown;
