import type { Position } from '../store/page.ts';

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

/**
 * Cuts a page out of what was read with one row more than asked for; that one says whether there is a next page.
 */
export function pageOf<Row extends { created_at: Date; id: string }>(
  rows: readonly Row[],
  limit: number,
): Readonly<{ rows: readonly Row[]; nextCursor: string | null }> {
  const page = rows.slice(0, limit);
  const last = rows.length > limit ? page.at(-1) : undefined;
  return { rows: page, nextCursor: last ? encodeCursor({ createdAt: last.created_at, id: last.id }) : null };
}
