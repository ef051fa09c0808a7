import { isStoredTime } from './stored-times.ts';

/** A position in a list that is ordered by time, then by id. */
export type Position = Readonly<{ createdAt: Date; id: string }>;

const shape = /^([0-9a-z]{1,10})\.([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

/** Encodes a position in a list as base64url of the sort key. Clients treat it as opaque. */
export function encodeCursor({ createdAt, id }: Position): string {
  return Buffer.from(`${createdAt.getTime().toString(36)}.${id}`).toString('base64url');
}

/** @returns undefined for anything that {@link encodeCursor} did not write. */
export function decodeCursor(cursor: string): Position | undefined {
  const [, time, id] = shape.exec(Buffer.from(cursor, 'base64url').toString('latin1')) ?? [];
  if (time === undefined || id === undefined) return undefined;
  const ms = Number.parseInt(time, 36);
  if (!isStoredTime(ms)) return undefined;
  const position = { createdAt: new Date(ms), id };
  // Accept only the canonical form: Buffer skips invalid base64url characters, and parseInt accepts leading zeros.
  return encodeCursor(position) === cursor ? position : undefined;
}

/** Returns the cursor for the position after a stored row. */
export function cursorAt({ created_at, id }: Readonly<{ created_at: Date; id: string }>): string {
  return encodeCursor({ createdAt: created_at, id });
}
