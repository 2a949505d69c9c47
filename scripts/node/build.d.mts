/** The executable of Node for an architecture that npm has one for; fetched once. */
export function nodeExecutable(arch: string): string;
/** The folder of what is built for an architecture. */
export function nodeFolder(arch: string): string;
/** Builds for Node unless what is there is newer than the sources; true when it is there. */
export function ensureNodeBuild(arch: string, form?: 'executable' | 'script'): boolean;
