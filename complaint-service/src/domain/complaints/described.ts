import type { ContactPreference } from './contact.ts';
import { priorityOf } from './priority.ts';

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

/** The editable members of a complaint as the API shows them, for the complaint itself and for its history. */
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

/** The history of an edit: the values before and after each change. */
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
