import type { Editable } from './described.ts';

/** An edit. Absent members stay unchanged. */
export type WantedEdit = Readonly<{ [Field in keyof Editable]?: Editable[Field] | undefined }>;

/** Returns only the members that differ, so that a repeated PATCH changes neither the entity tag nor the history. */
export function changedFields(current: Editable, wanted: WantedEdit): Partial<Editable> {
  const fields = Object.keys(wanted) as (keyof Editable)[];
  const changed = fields.filter((field) => wanted[field] !== undefined && wanted[field] !== current[field]);
  return Object.fromEntries(changed.map((field) => [field, wanted[field]]));
}

/** Returns the text that searches use. Excludes comments, because a match could reveal an internal comment. */
export function searchedText({ title, description }: Pick<Editable, 'title' | 'description'>): string {
  return `${title}\n${description}`;
}
