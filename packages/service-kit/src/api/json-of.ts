import type { z } from 'zod';

/** A value as the database returns it: a time may be a `Date`, and a list may be read-only. */
type Stored<T> = T extends readonly (infer Item)[] ? readonly Item[] : string extends T ? T | Date : T;

/** Returns a row as JSON: only the schema's members, with times in ISO 8601. */
export function jsonOf<Schema extends z.ZodObject>(
  schema: Schema,
  row: { readonly [Name in keyof z.output<Schema>]: Stored<z.output<Schema>[Name]> },
): z.output<Schema> {
  const values = row as Readonly<Record<string, unknown>>;
  const members = Object.keys(schema.shape).map((name) => {
    const value = values[name];
    return [name, value instanceof Date ? value.toISOString() : value];
  });
  return Object.fromEntries(members);
}
