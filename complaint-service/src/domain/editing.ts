/** The text of a complaint, which its complainant or an agent may edit. */
export type Wording = Readonly<{ title: string; description: string; category: string }>;
/** An edit. Fields that are missing stay as they are. */
export type WantedWording = Readonly<{ [Field in keyof Wording]?: string | undefined }>;

/** Returns only the fields that differ, so that a repeated PATCH changes neither entity tag nor history. */
export function changedFields(current: Wording, wanted: WantedWording): Partial<Wording> {
  const changes: { -readonly [Field in keyof Wording]?: string } = {};
  for (const field of ['title', 'description', 'category'] as const) {
    const value = wanted[field];
    if (value !== undefined && value !== current[field]) changes[field] = value;
  }
  return changes;
}

/** The history of an edit: the text before and after each change. */
export type WordingEdit = Readonly<{
  fields: readonly string[];
  /** Missing in entries of older releases, which kept only the names of the fields. */
  changes?: Readonly<{ [Field in keyof Wording]?: Readonly<{ from: string; to: string }> }>;
}>;

/** @param changes As {@link changedFields} returns them. */
export function editOf(current: Wording, changes: Partial<Wording>): WordingEdit {
  const fields = Object.keys(changes) as (keyof Wording)[];
  const entries = fields.map((field) => [field, { from: current[field], to: changes[field] }]);
  return { fields, changes: Object.fromEntries(entries) };
}

/** Returns the text that is searched. Comments are left out: a match could reveal an internal one. */
export function searchedText({ title, description }: Pick<Wording, 'title' | 'description'>): string {
  return `${title}\n${description}`;
}
