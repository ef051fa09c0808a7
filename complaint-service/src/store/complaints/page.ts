import type { Position } from '../../domain/search/cursor.ts';

/** The part of a list to read: at most `limit` rows, after `after`. */
export type PageWanted = Readonly<{ after: Position | undefined; limit: number }>;
