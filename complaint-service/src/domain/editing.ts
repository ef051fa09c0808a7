import type { Complaint } from '../store/schema.ts';

/** What a complaint says, as its complainant or an agent may correct it. */
export type Wording = Readonly<{
  title?: string | undefined;
  description?: string | undefined;
  category?: string | undefined;
}>;

/** Only what is different, so that a repeated PATCH leaves entity tag and history alone. */
export function changedFields(
  current: Pick<Complaint, 'title' | 'description' | 'category'>,
  wanted: Wording,
): { title?: string; description?: string; category?: string } {
  const changes: { title?: string; description?: string; category?: string } = {};
  for (const field of ['title', 'description', 'category'] as const) {
    const value = wanted[field];
    if (value !== undefined && value !== current[field]) changes[field] = value;
  }
  return changes;
}

/** The text that search looks into. Comments are not part of it: a hit would tell of internal ones. */
export function searchedText({ title, description }: Pick<Complaint, 'title' | 'description'>): string {
  return `${title}\n${description}`;
}
