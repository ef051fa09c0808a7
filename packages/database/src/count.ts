import { sql } from 'kysely';

/** Selects the number of rows: `const { count } = await query.select(countRows).executeTakeFirstOrThrow()`. */
export const countRows = sql<number>`count(*)::int`.as('count');
