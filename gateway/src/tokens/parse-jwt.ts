import { decodeBase64url, parseStrictObject } from '@countersign/jwks';
import { AppError } from '../errors.ts';

/** A parsed JWT. Its signature has not been verified, so no value in it can be trusted yet. */
export type UnverifiedJwt = Readonly<{
  header: Readonly<Record<string, unknown>>;
  payload: Readonly<Record<string, unknown>>;
}>;

/** The longest accepted access token or transaction token, in characters. */
export const maxTokenLength = 8192;

/**
 * Parses a JWS in compact form. Unused bits at the end of a part must be zero. Otherwise the same token could be
 * written in several ways, and could evade checks that compare tokens as text. jose accepts all of them.
 *
 * @throws AppError `token_too_large`, `token_malformed`. `token_algorithm_refused` if there is no signature.
 * @see RFC 7515 section 7.1, RFC 4648 section 3.5
 */
export function parseJwt(text: string, maxLength = maxTokenLength): UnverifiedJwt {
  if (text.length > maxLength) throw new AppError('token_too_large');
  const parts = text.split('.');
  if (parts.length !== 3) throw malformed('not three parts');
  const [header, payload, signature] = parts.map(decodeBase64url);
  if (!header || !payload || !signature) throw malformed('not canonical base64url');
  if (header.length === 0 || payload.length === 0) throw malformed('an empty part');
  // Refuses an unsigned token before any key is looked up.
  if (signature.length === 0) throw new AppError('token_algorithm_refused', { detail: { reason: 'no signature' } });
  return { header: parsePart(header, 'header'), payload: parsePart(payload, 'payload') };
}

function parsePart(part: Uint8Array, name: string): Record<string, unknown> {
  try {
    return parseStrictObject(part);
  } catch (cause) {
    throw malformed(`the ${name} is not one JSON object`, cause);
  }
}

const malformed = (reason: string, cause?: unknown): AppError =>
  new AppError('token_malformed', { cause, detail: { reason } });
