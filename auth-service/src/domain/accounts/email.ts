/**
 * Returns an address's canonical spelling for storage, lookup and counting. Does not trim or repair the address,
 * because different people's addresses must stay different.
 */
export function canonicalEmail(given: string): string {
  return given.normalize('NFC').toLowerCase().normalize('NFC');
}
