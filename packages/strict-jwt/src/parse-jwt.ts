import { decodeBase64url } from '@countersign/jwks';

/** A parsed JWT. Its signature has not been verified, so no value in it can be trusted yet. */
export type UnverifiedJwt = Readonly<{
  header: Readonly<Record<string, unknown>>;
  payload: Readonly<Record<string, unknown>>;
}>;

/** The message is the reason, without any part of the token. */
export class MalformedJwt extends Error {
  override readonly name = 'MalformedJwt';
  /** Whether the JWT is well-formed apart from its missing signature. */
  readonly isUnsigned: boolean;

  constructor(reason: string, { cause, isUnsigned = false }: Readonly<{ cause?: unknown; isUnsigned?: boolean }> = {}) {
    super(reason, { cause });
    this.isUnsigned = isUnsigned;
  }
}

/**
 * Parses a JWS in compact form. Unused bits at the end of a part must be zero. Otherwise the same token could be
 * written in several ways, and could evade checks that compare tokens as text. jose accepts all of them.
 *
 * @param text Of any length, so the caller must limit it.
 * @throws MalformedJwt
 * @see RFC 7515 section 7.1, RFC 4648 section 3.5
 */
export function parseJwt(text: string): UnverifiedJwt {
  const parts = text.split('.');
  if (parts.length !== 3) throw new MalformedJwt('not three parts');
  const [header, payload, signature] = parts.map(decodeBase64url);
  if (!header || !payload || !signature) throw new MalformedJwt('not canonical base64url');
  if (header.length === 0 || payload.length === 0) throw new MalformedJwt('an empty part');
  // Refuses an unsigned token before any key is looked up.
  if (signature.length === 0) throw new MalformedJwt('no signature', { isUnsigned: true });
  return { header: parsePart(header, 'header'), payload: parsePart(payload, 'payload') };
}

function parsePart(part: Uint8Array, name: string): Record<string, unknown> {
  try {
    return parseStrictObject(part);
  } catch (cause) {
    throw new MalformedJwt(`the ${name} is not one JSON object`, { cause });
  }
}

/**
 * Parses a JSON object and refuses repeated names at any depth. `JSON.parse` keeps the last of two values, and other
 * parsers the first, so two readers could see different claims (RFC 8725 section 2.4, RFC 7519 section 4).
 *
 * @param bytes UTF-8. Invalid sequences are refused, never replaced.
 * @throws SyntaxError or TypeError if the bytes are not such an object.
 */
export function parseStrictObject(bytes: Uint8Array): Record<string, unknown> {
  const text = utf8.decode(bytes);
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new SyntaxError('not a JSON object');
  refuseRepeatedNames(text, value);
  return value as Record<string, unknown>;
}

// `ignoreBOM` keeps a byte order mark in the text, so that JSON.parse refuses it.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const strings = /"(?:[^"\\]|\\.)*"/g;

/**
 * The value has one key for each different name, so more names than keys mean that one is repeated.
 *
 * @param text Valid JSON, so a colon outside of strings follows a name.
 */
function refuseRepeatedNames(text: string, value: object): void {
  const names = text.replaceAll(strings, '').split(':').length - 1;
  if (names !== keysIn(value)) throw new SyntaxError('a name is repeated');
}

function keysIn(value: object): number {
  let keys = 0;
  const open: unknown[] = [value];
  for (const one of open) {
    if (typeof one !== 'object' || one === null) continue;
    const values = Object.values(one);
    if (!Array.isArray(one)) keys += values.length;
    for (const inner of values) open.push(inner);
  }
  return keys;
}
