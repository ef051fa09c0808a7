const firstMs = Date.parse('0001-01-01T00:00:00Z');
const endMs = Date.UTC(10_000, 0, 1);

/** Whether the database takes a time: Postgres and PGlite agree on the form of the years 1 to 9999 alone. */
export const isStoredTime = (ms: number): boolean => ms >= firstMs && ms < endMs;
