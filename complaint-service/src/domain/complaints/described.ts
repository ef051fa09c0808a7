/** Priorities from low to urgent. The database stores their position, so that it can sort them. */
export const priorities = ['low', 'normal', 'high', 'urgent'] as const;
export type Priority = (typeof priorities)[number];

export const priorityRank = (priority: Priority): number => priorities.indexOf(priority);

export function priorityOf(rank: number): Priority {
  const priority = priorities[rank];
  if (priority === undefined) throw new RangeError(`no priority has the rank ${rank}`);
  return priority;
}

/** How the complainant wants to be contacted about the complaint. */
export const contactPreferences = ['email', 'phone', 'none'] as const;
export type ContactPreference = (typeof contactPreferences)[number];

type Stored = Readonly<{
  title: string;
  description: string;
  category: string;
  priority: number;
  latitude: number | null;
  longitude: number | null;
  address: string | null;
  contact_preference: ContactPreference;
}>;

/** A complaint's editable members, as the API returns them in complaints and in their history. */
export function described(complaint: Stored) {
  const { title, description, category, priority, contact_preference } = complaint;
  return {
    title,
    description,
    category,
    priority: priorityOf(priority),
    location: locationOf(complaint),
    contact_preference,
  };
}

function locationOf({ latitude, longitude, address }: Stored) {
  if (latitude === null && address === null) return null;
  return { latitude, longitude, address };
}

/** An edit in the history: each change with its old and new value. */
export type Edit = Readonly<{
  fields: readonly string[];
  changes: Readonly<Record<string, Readonly<{ from: unknown; to: unknown }>>>;
}>;

export function editOf(before: Stored, after: Stored): Edit {
  const [from, to] = [described(before), described(after)];
  const fields = (Object.keys(from) as (keyof typeof from)[]).filter(
    (field) => JSON.stringify(from[field]) !== JSON.stringify(to[field]),
  );
  return { fields, changes: Object.fromEntries(fields.map((field) => [field, { from: from[field], to: to[field] }])) };
}
