/** How many categories agents can add to a tenant's catalogue by using new names. */
export const maxOpenCategories = 200;

/** Folds compatibility forms, case and spaces. Names that differ only in these are equal. */
export function foldName(name: string): string {
  return name.normalize('NFKC').trim().replaceAll(/\s+/gu, ' ').toUpperCase().toLowerCase().normalize('NFKC');
}
