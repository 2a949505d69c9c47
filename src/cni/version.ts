import { CniError, CODE } from './error.ts';
import { SUPPORTED_VERSIONS } from './supported-versions.ts';

export { CURRENT_VERSION, renderVersions, SUPPORTED_VERSIONS } from './supported-versions.ts';

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
