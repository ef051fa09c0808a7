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

/** The text that search looks into. Comments are not part of it: a hit would tell of internal ones. */
export function searchedText({ title, description }: Pick<Wording, 'title' | 'description'>): string {
  return `${title}\n${description}`;
}
