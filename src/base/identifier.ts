/** Container IDs and network names: they become file names, so nothing else gets through. */
export function isIdentifier(text: string): boolean {
  return /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(text) && text.length <= 255;
}
