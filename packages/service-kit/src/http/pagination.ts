import { z } from 'zod';

/** How a list decodes its `cursor` parameter. */
export type CursorReader<Position> = Readonly<{
  /** The maximum length in characters. Longer cursors are refused before they are decoded. */
  maxLength: number;
  /** Returns undefined for a cursor that this list did not create. */
  decode: (cursor: string) => Position | undefined;
}>;

/** A whole number in a query, described as an integer with its bounds. */
export const wholeNumberField = ({ min, max }: Readonly<{ min: number; max: number }>) =>
  z
    .string()
    .regex(/^(?:0|[1-9][0-9]{0,15})$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.number().min(min).max(max))
    .meta({ type: 'integer', minimum: min, maximum: max, pattern: undefined });

/** The query parameters `cursor` and `limit` of a list. `limit` is 1 to 100, by default 20. */
export const paginationFields = <Position>({ maxLength, decode }: CursorReader<Position>) => ({
  cursor: z
    .string()
    .max(maxLength)
    .transform((value, context) => {
      const position = decode(value);
      if (position !== undefined) return position;
      context.addIssue({ code: 'custom', message: 'is not a cursor from this list' });
      return z.NEVER;
    })
    .optional(),
  limit: wholeNumberField({ min: 1, max: 100 }).default(20),
});

/** Returns the first `limit` of `limit + 1` rows, and the cursor of the last one if there are more. */
export function paginate<Row>(
  rows: readonly Row[],
  limit: number,
  cursorAt: (last: Row) => string,
): Readonly<{ rows: readonly Row[]; nextCursor: string | null }> {
  const page = rows.slice(0, limit);
  const last = rows.length > limit ? page.at(-1) : undefined;
  return { rows: page, nextCursor: last === undefined ? null : cursorAt(last) };
}
