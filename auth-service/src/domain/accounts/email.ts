/**
 * Returns the canonical spelling of an address, for storage, lookup and counting. Does not trim or repair it: addresses
 * that could belong to different people must stay distinct.
 */
export function canonicalEmail(given: string): string {
  return given.normalize('NFC').toLowerCase().normalize('NFC');
}
