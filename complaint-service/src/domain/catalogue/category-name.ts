/** The maximum number of categories that agents can add to a tenant's catalogue by naming them. */
export const maxOpenCategories = 200;

/** Folds compatibility forms, case and spaces, so that a name is unique whatever its spelling. */
export function foldName(name: string): string {
  return name.normalize('NFKC').trim().replaceAll(/\s+/gu, ' ').toUpperCase().toLowerCase().normalize('NFKC');
}
