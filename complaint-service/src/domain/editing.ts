/** What a complaint says, as its complainant or an agent may correct it. */
export type Wording = Readonly<{ title: string; description: string; category: string }>;
/** A correction: fields that are not named stay. */
export type WantedWording = Readonly<{ [Field in keyof Wording]?: string | undefined }>;

/** Only what is different, so that a repeated PATCH leaves entity tag and history alone. */
export function changedFields(current: Wording, wanted: WantedWording): Partial<Wording> {
  const changes: { -readonly [Field in keyof Wording]?: string } = {};
  for (const field of ['title', 'description', 'category'] as const) {
    const value = wanted[field];
    if (value !== undefined && value !== current[field]) changes[field] = value;
  }
  return changes;
}

/** What the history keeps of an edit: the text before and after, so that nothing is rewritten without a trace. */
export type WordingEdit = Readonly<{
  fields: readonly string[];
  /** Missing in entries of releases that kept the names of the fields only. */
  changes?: Readonly<{ [Field in keyof Wording]?: Readonly<{ from: string; to: string }> }>;
}>;

/** @param changes As {@link changedFields} returns them. */
export function editOf(current: Wording, changes: Partial<Wording>): WordingEdit {
  const fields = Object.keys(changes) as (keyof Wording)[];
  const entries = fields.map((field) => [field, { from: current[field], to: changes[field] }]);
  return { fields, changes: Object.fromEntries(entries) };
}

/** The text that search looks into. Comments are not part of it: a hit would tell of internal ones. */
export function searchedText({ title, description }: Pick<Wording, 'title' | 'description'>): string {
  return `${title}\n${description}`;
}
