/**
 * Returns the canonical spelling of an address, for storage, lookup and counting. It is not trimmed or repaired: two
 * addresses that different people could own must stay different.
 */
export function canonicalEmail(given: string): string {
  return given.normalize('NFC').toLowerCase().normalize('NFC');
}
