/**
 * The one spelling under which an address is stored, looked up and counted. Not trimmed and not otherwise mended: what
 * two people could own separately must not become one.
 */
export function canonicalEmail(given: string): string {
  return given.normalize('NFC').toLowerCase().normalize('NFC');
}
