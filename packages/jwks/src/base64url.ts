/**
 * Decodes base64url in canonical form: unused bits at the end are zero (RFC 4648 section 3.5). Otherwise one value
 * could be written in several ways, and could evade checks that compare it as text.
 *
 * @returns Undefined if the text has another form.
 */
export function decodeBase64url(text: string): Buffer | undefined {
  const decoded = Buffer.from(text, 'base64url');
  return decoded.toString('base64url') === text ? decoded : undefined;
}

/** Whether a value is canonical base64url for this number of bytes, by default for at least one. */
export function isBase64url(value: unknown, bytes?: number): value is string {
  if (typeof value !== 'string' || value.length === 0) return false;
  const decoded = decodeBase64url(value);
  return decoded !== undefined && (bytes === undefined || decoded.length === bytes);
}
