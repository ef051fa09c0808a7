/** A position in the directory. The list continues after this member. */
export type DirectoryPosition = Readonly<{ foldedName: string; userId: string }>;

/** Encodes a position in the directory as an opaque base64url cursor. */
export function encodeCursor({ foldedName, userId }: DirectoryPosition): string {
  return Buffer.from(JSON.stringify([foldedName, userId])).toString('base64url');
}

/** Returns the cursor for the position after a stored member. */
export function cursorAt({ folded_name, user_id }: Readonly<{ folded_name: string; user_id: string }>): string {
  return encodeCursor({ foldedName: folded_name, userId: user_id });
}

/** @returns undefined for anything that {@link encodeCursor} did not write. */
export function decodeCursor(cursor: string): DirectoryPosition | undefined {
  let parts: unknown;
  try {
    parts = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
  } catch {
    return undefined;
  }
  if (!Array.isArray(parts)) return undefined;
  const [foldedName, userId] = parts as unknown[];
  if (typeof foldedName !== 'string' || typeof userId !== 'string') return undefined;
  // Postgres rejects NUL, which JavaScript strings may contain.
  if (`${foldedName}${userId}`.includes('\0')) return undefined;
  const position = { foldedName, userId };
  // Accepts only the canonical form: Buffer skips invalid base64url characters, and JSON allows spaces.
  return encodeCursor(position) === cursor ? position : undefined;
}
