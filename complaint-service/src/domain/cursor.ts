/** A place in a list that is ordered by time, and by id where times are equal. */
export type Position = Readonly<{ createdAt: Date; id: string }>;

const shape = /^([0-9a-z]{1,10})\.([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;
// Both databases write later years in a form that the other cannot read.
const endOfYear9999 = Date.UTC(10_000, 0, 1);

/** A place in a list, opaque to clients: base64url of what the order is made of. */
export function encodeCursor({ createdAt, id }: Position): string {
  return Buffer.from(`${createdAt.getTime().toString(36)}.${id}`).toString('base64url');
}

/** @returns undefined for anything that {@link encodeCursor} did not write. */
export function decodeCursor(cursor: string): Position | undefined {
  const [, time, id] = shape.exec(Buffer.from(cursor, 'base64url').toString('latin1')) ?? [];
  if (time === undefined || id === undefined) return undefined;
  const ms = Number.parseInt(time, 36);
  if (ms >= endOfYear9999) return undefined;
  const position = { createdAt: new Date(ms), id };
  // One spelling only: Buffer skips what is not base64url, and parseInt takes leading zeros.
  return encodeCursor(position) === cursor ? position : undefined;
}

/** The place behind a row as it is stored. */
export function cursorAt({ created_at, id }: Readonly<{ created_at: Date; id: string }>): string {
  return encodeCursor({ createdAt: created_at, id });
}
