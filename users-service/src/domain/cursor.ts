/** A position in the directory. The list continues after this member. */
export type DirectoryPosition = Readonly<{ folded_name: string; user_id: string }>;

export function encodeCursor({ folded_name, user_id }: DirectoryPosition): string {
  return Buffer.from(JSON.stringify([folded_name, user_id])).toString('base64url');
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
  const [folded_name, user_id] = parts as unknown[];
  if (typeof folded_name !== 'string' || typeof user_id !== 'string') return undefined;
  // Postgres rejects NUL, which JavaScript strings may contain.
  if (`${folded_name}${user_id}`.includes('\0')) return undefined;
  const position = { folded_name, user_id };
  // Accepts only the canonical form: Buffer skips invalid base64url characters, and JSON allows spaces.
  return encodeCursor(position) === cursor ? position : undefined;
}
