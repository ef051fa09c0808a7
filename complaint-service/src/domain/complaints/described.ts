/** Priorities from low to urgent. The database stores their position, so that it can sort them. */
export const priorities = ['low', 'normal', 'high', 'urgent'] as const;
export type Priority = (typeof priorities)[number];

export const priorityRank = (priority: Priority): number => priorities.indexOf(priority);

export function priorityOf(rank: number): Priority {
  const priority = priorities[rank];
  if (priority === undefined) throw new RangeError(`no priority has the rank ${rank}`);
  return priority;
}

export const contactPreferences = ['email', 'phone', 'none'] as const;
export type ContactPreference = (typeof contactPreferences)[number];

/** The members that an edit can change, as they are stored. */
export type Editable = Readonly<{
  title: string;
  description: string;
  category_id: string;
  priority: number;
  latitude: number | null;
  longitude: number | null;
  address: string | null;
  contact_preference: ContactPreference;
}>;

/** Shows the category by its name. */
type Described = Omit<Editable, 'category_id'> & Readonly<{ category: string }>;

/** A complaint's editable members, as the API returns them in complaints and in their history. */
export function described(complaint: Described) {
  const { title, description, category, priority, latitude, longitude, address, contact_preference } = complaint;
  const location = latitude === null && address === null ? null : { latitude, longitude, address };
  return { title, description, category, priority: priorityOf(priority), location, contact_preference };
}

/** Returns an edit as the history stores it: each changed member with its old and new value. */
export function editOf(before: Described, after: Described) {
  const [from, to] = [described(before), described(after)];
  const fields = (Object.keys(from) as (keyof typeof from)[]).filter(
    (field) => JSON.stringify(from[field]) !== JSON.stringify(to[field]),
  );
  return { fields, changes: Object.fromEntries(fields.map((field) => [field, { from: from[field], to: to[field] }])) };
}

/** An edit. Absent members stay unchanged. */
export type WantedEdit = Readonly<{ [Field in keyof Editable]?: Editable[Field] | undefined }>;

/** Returns only the members that differ, so that a repeated PATCH changes neither the entity tag nor the history. */
export function changedFields(current: Editable, wanted: WantedEdit): Partial<Editable> {
  const fields = Object.keys(wanted) as (keyof Editable)[];
  const changed = fields.filter((field) => wanted[field] !== undefined && wanted[field] !== current[field]);
  return Object.fromEntries(changed.map((field) => [field, wanted[field]]));
}

type Searched = Pick<Editable, 'title' | 'description' | 'address'> & Readonly<{ number: string }>;

/** Returns the text that searches use. Excludes comments, because a match could reveal an internal comment. */
export function searchedText({ number, title, address, description }: Searched): string {
  return [number, title, address, description].filter((text) => text !== null).join('\n');
}

type Reporter = Readonly<Record<'reporter_name' | 'reporter_email' | 'reporter_phone', string | null>>;

/** Returns the text by which agents and admins find a person's complaints. */
export function personalText(complaint: Reporter, name: string | undefined): string {
  const { reporter_name, reporter_email, reporter_phone } = complaint;
  return [name, reporter_name, reporter_email, reporter_phone].filter(Boolean).join('\n');
}
