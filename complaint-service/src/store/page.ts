/** A place in a list that is ordered by time, and by id where times are equal. */
export type Position = Readonly<{ createdAt: Date; id: string }>;

/** What to read of a list: at most `limit` rows, behind `after`. */
export type PageWanted = Readonly<{ after: Position | undefined; limit: number }>;
