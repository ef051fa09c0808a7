/** The fields that people may change about themselves. `null` removes a value. */
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

/** Roles that see the whole directory of their tenant. */
export const directoryRoles = ['agent', 'admin'] as const;

/**
 * Whether the caller may see this user. Complainants see only themselves, so they cannot learn who else files
 * complaints.
 */
export function maySee(caller: Caller, userId: string): boolean {
  return caller.userId === userId || (directoryRoles as readonly string[]).includes(caller.role);
}

/** The scope with which OAuth clients, and agents that act for a user, read the directory. */
export const directoryScope = 'users.read';

const maxFoldedLength = 100;

/**
 * Normalizes a name for sorting and searching: folds compatibility forms and case. Keeps at most 100 characters: one
 * ligature can become eighteen letters, and the size of an index entry is limited.
 */
export function foldName(name: string): string {
  const folded = name.normalize('NFKC').toUpperCase().toLowerCase().normalize('NFKC');
  return [...folded].slice(0, maxFoldedLength).join('');
}

/** @returns The columns to store, or undefined when nothing changed: a repeated PATCH keeps the entity tag. */
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
