/**
 * Whether a value is base64url for at least one byte, in canonical form: unused bits at the end are zero (RFC 4648
 * section 3.5). Otherwise one value could be written in several ways, and could evade checks that compare it as text.
 *
 * @param bytes The exact number of bytes. Default: any.
 */
export function isBase64url(value: unknown, bytes?: number): value is string {
  if (typeof value !== 'string' || value.length === 0) return false;
  const decoded = Buffer.from(value, 'base64url');
  return (bytes === undefined || decoded.length === bytes) && decoded.toString('base64url') === value;
}
