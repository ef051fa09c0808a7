/** The fields that people can change about themselves. `null` removes a value. */
export type ProfileChanges = Readonly<{
  displayName?: string | undefined;
  phone?: string | null | undefined;
  locale?: string | null | undefined;
  timeZone?: string | null | undefined;
}>;

export type StoredProfile = Readonly<{
  display_name: string | null;
  phone: string | null;
  locale: string | null;
  time_zone: string | null;
}>;
/** The columns to store for a changed profile. `folded_name` changes with the name. */
export type MemberChanges = { -readonly [Field in keyof StoredProfile]?: StoredProfile[Field] } & {
  folded_name?: string;
};

export type Caller = Readonly<{ userId: string; role: string }>;

/** Roles that see their tenant's whole directory. */
export const directoryRoles = ['agent', 'admin'] as const;

/**
 * Whether the caller can see this user. Complainants see only themselves, so that they do not learn who else files
 * complaints.
 */
export function maySee(caller: Caller, userId: string): boolean {
  return caller.userId === userId || (directoryRoles as readonly string[]).includes(caller.role);
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
export function changesTo(member: StoredProfile, wanted: ProfileChanges): MemberChanges | undefined {
  const changes: MemberChanges = {};
  if (wanted.displayName !== undefined && wanted.displayName !== member.display_name) {
    changes.display_name = wanted.displayName;
    changes.folded_name = foldName(wanted.displayName);
  }
  if (wanted.phone !== undefined && wanted.phone !== member.phone) changes.phone = wanted.phone;
  if (wanted.locale !== undefined && wanted.locale !== member.locale) changes.locale = wanted.locale;
  if (wanted.timeZone !== undefined && wanted.timeZone !== member.time_zone) changes.time_zone = wanted.timeZone;
  return Object.keys(changes).length === 0 ? undefined : changes;
}
