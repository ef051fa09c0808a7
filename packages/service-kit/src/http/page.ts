import { z } from 'zod';

/** How a list turns the `cursor` of a query back into a place. */
export type CursorReader<Position> = Readonly<{
  /** Longer ones are refused before they are read, in characters. */
  maxLength: number;
  /** Undefined for what the list itself did not write. */
  decode: (cursor: string) => Position | undefined;
}>;

/** `cursor` and `limit` (1 to 100, 20 by default), as every list here takes them. Spread into the query's schema. */
export const pageFields = <Position>({ maxLength, decode }: CursorReader<Position>) => ({
  cursor: z
    .string()
    .max(maxLength)
    .transform((value, context) => {
      const position = decode(value);
      if (position !== undefined) return position;
      context.addIssue({ code: 'custom', message: 'is not a cursor of this list' });
      return z.NEVER;
    })
    .optional(),
  limit: z
    .string()
    .regex(/^[0-9]{1,3}$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.number().min(1).max(100))
    .default(20),
});

/**
 * Cuts a page out of what was read with one row more than asked for; that one says whether there is a next page.
 *
 * @param cursorAt The cursor of what follows this row.
 */
export function pageOf<Row>(
  rows: readonly Row[],
  limit: number,
  cursorAt: (last: Row) => string,
): Readonly<{ rows: readonly Row[]; nextCursor: string | null }> {
  const page = rows.slice(0, limit);
  const last = rows.length > limit ? page.at(-1) : undefined;
  return { rows: page, nextCursor: last === undefined ? null : cursorAt(last) };
}
