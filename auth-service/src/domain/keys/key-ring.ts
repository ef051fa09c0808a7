export type SecretKey = Readonly<{ id: string; bytes: Uint8Array }>;

/** Secrets for one purpose. The current secret protects new values. All of them can read existing values. */
export type KeyRing = ReturnType<typeof parseKeyRing>;

/** Reads `id:base64url32bytes[,id:…]`, current key first. @throws Error that names no secret, only a position. */
export function parseKeyRing(text: string) {
  const keys = text.split(',').map(parseKey);
  const [current] = keys;
  const byId = new Map(keys.map((key) => [key.id, key.bytes]));
  if (current === undefined || byId.size !== keys.length) throw new Error('two keys have the same id');
  return { current, find: (id: string) => byId.get(id) };
}

function parseKey(entry: string, index: number): SecretKey {
  const [, id, encoded] = /^([A-Za-z0-9_-]{1,32}):([A-Za-z0-9_-]{43})$/.exec(entry.trim()) ?? [];
  if (id === undefined || encoded === undefined) {
    throw new Error(`key ${index + 1} must have the form id:secret, with a secret of 32 bytes in base64url`);
  }
  return { id, bytes: Buffer.from(encoded, 'base64url') };
}
