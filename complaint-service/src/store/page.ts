import type { Position } from '../domain/cursor.ts';

/** What to read of a list: at most `limit` rows, behind `after`. */
export type PageWanted = Readonly<{ after: Position | undefined; limit: number }>;
