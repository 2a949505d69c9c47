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

/** The answer to the VERSION command, with its newline. */
export function renderVersions(): string {
  return `${JSON.stringify({ cniVersion: CURRENT_VERSION, supportedVersions: SUPPORTED_VERSIONS })}\n`;
}
