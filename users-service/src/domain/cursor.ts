/** Where a page begins: behind this member, in the order of the directory. */
export type DirectoryPosition = Readonly<{ foldedName: string; userId: string }>;

/** A place in the directory, opaque to clients: base64url of what the order is made of. */
export function encodeCursor({ foldedName, userId }: DirectoryPosition): string {
  return Buffer.from(JSON.stringify([foldedName, userId])).toString('base64url');
}

/** The place behind a member as it is stored. */
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
  // NUL is a character to JavaScript and an error to Postgres.
  if (`${foldedName}${userId}`.includes('\0')) return undefined;
  const position = { foldedName, userId };
  // One spelling only: Buffer skips what is not base64url, JSON allows spaces.
  return encodeCursor(position) === cursor ? position : undefined;
}
