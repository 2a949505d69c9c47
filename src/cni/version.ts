import { CniError, CODE } from './error.ts';

/** The newest specification version; the one in which results are kept internally. */
export const CURRENT_VERSION = '1.1.0';

export const SUPPORTED_VERSIONS: readonly string[] = [
  '0.1.0',
  '0.2.0',
  '0.3.0',
  '0.3.1',
  '0.4.0',
  '1.0.0',
  '1.1.0',
];

/** Throws CniError 1 for a version that results cannot be written in. */
export function checkVersion(version: string): void {
  if (SUPPORTED_VERSIONS.includes(version)) return;
  const list = SUPPORTED_VERSIONS.map((entry) => JSON.stringify(entry)).join(' ');
  throw new CniError(CODE.INCOMPATIBLE_VERSION, 'incompatible CNI versions', {
    details: `config is ${JSON.stringify(version.slice(0, 32))}, plugin supports [${list}]`,
  });
}

/** True when `version` is `minimum` or newer; both are supported versions. */
export function atLeast(version: string, minimum: string): boolean {
  return SUPPORTED_VERSIONS.indexOf(version) >= SUPPORTED_VERSIONS.indexOf(minimum);
}

/** The answer to the VERSION command, with its newline. */
export function renderVersions(): string {
  return `${JSON.stringify({ cniVersion: CURRENT_VERSION, supportedVersions: SUPPORTED_VERSIONS })}\n`;
}
