/** The maximum number of categories that agents can add to a tenant's catalogue by using a new name. */
export const maxOpenCategories = 200;

/** Folds compatibility forms, case and spaces, so that names that differ only in these count as equal. */
export function foldName(name: string): string {
  return name.normalize('NFKC').trim().replaceAll(/\s+/gu, ' ').toUpperCase().toLowerCase().normalize('NFKC');
}
