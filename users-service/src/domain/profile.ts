/** The fields that people can change about themselves. */
export type Profile = Readonly<Record<'display_name' | 'phone' | 'locale' | 'time_zone', string | null>>;

/** `null` removes a value. The display name can only be replaced. */
type ProfileChanges = Readonly<{ [Field in keyof Profile]?: Profile[Field] | undefined }> &
  Readonly<{ display_name?: string | undefined }>;

/** The columns to store for a changed profile. `folded_name` changes with the name. */
export type MemberChanges = ProfileChanges & Readonly<{ folded_name?: string }>;

export type SignedUser = Readonly<{ userId: string; role: string }>;

/** Roles that see their tenant's whole directory. */
export const directoryRoles: readonly string[] = ['agent', 'admin'];

/**
 * Whether the caller can see this user. Complainants see only themselves, so that they do not learn who else files
 * complaints.
 */
export function maySee(caller: SignedUser, userId: string): boolean {
  return caller.userId === userId || directoryRoles.includes(caller.role);
}

/** The scope that OAuth clients need to read the directory, also when they act for a user. */
export const directoryScope = 'users.read';

const maxFoldedLength = 100;

/**
 * Normalizes a name for sorting and searching: folds compatibility forms and case. Keeps at most 100 characters,
 * because one ligature can become eighteen letters, and index entries have a maximum size.
 */
export function foldName(name: string): string {
  const folded = name.normalize('NFKC').toUpperCase().toLowerCase().normalize('NFKC');
  return [...folded].slice(0, maxFoldedLength).join('');
}

/** @returns The columns to store. Undefined if nothing changes, so that a repeated PATCH keeps the entity tag. */
export function changesTo(member: Profile, wanted: ProfileChanges): MemberChanges | undefined {
  const fields = Object.keys(wanted) as (keyof ProfileChanges)[];
  const changed = fields.filter((field) => wanted[field] !== undefined && wanted[field] !== member[field]);
  if (changed.length === 0) return undefined;
  const changes: ProfileChanges = Object.fromEntries(changed.map((field) => [field, wanted[field]]));
  const { display_name: name } = changes;
  return name === undefined ? changes : { ...changes, folded_name: foldName(name) };
}
