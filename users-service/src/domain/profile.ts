/** What a person may change about themselves. `null` takes a value away. */
export type ProfileChanges = Readonly<{
  displayName?: string | undefined;
  phone?: string | null | undefined;
  locale?: string | null | undefined;
  timeZone?: string | null | undefined;
}>;

/** A profile as it is stored. */
export type StoredProfile = Readonly<{
  display_name: string | null;
  phone: string | null;
  locale: string | null;
  time_zone: string | null;
}>;
/** What to store of a changed profile; `folded_name` belongs to the name. */
export type MemberChanges = { -readonly [Field in keyof StoredProfile]?: StoredProfile[Field] } & {
  folded_name?: string;
};

export type Caller = Readonly<{ userId: string; role: string }>;

/** Roles that see the whole directory of their tenant. */
export const directoryRoles = ['agent', 'admin'] as const;

/**
 * A complainant sees nobody but themselves: who else complains, and to whom, is none of their business.
 */
export function maySee(caller: Caller, userId: string): boolean {
  return caller.userId === userId || (directoryRoles as readonly string[]).includes(caller.role);
}

const maxFoldedLength = 100;

/**
 * One spelling for sorting and searching: compatibility forms and case do not matter. At most 100 characters of it: one
 * ligature can become eighteen letters, and an index entry has a largest size.
 */
export function foldName(name: string): string {
  const folded = name.normalize('NFKC').toUpperCase().toLowerCase().normalize('NFKC');
  return [...folded].slice(0, maxFoldedLength).join('');
}

/** @returns What to store; undefined when nothing is different, so that a repeated PATCH changes no entity tag. */
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
