import { AppError, type Code } from '../errors.ts';
import { parseStrictObject } from './strict-json.ts';

/** Longest token taken, in characters. */
export const maxTokenLength = 8192;

/** A token taken apart. Nothing of it is believed yet: its signature has not been checked. */
export type UnverifiedToken = Readonly<{
  header: Readonly<Record<string, unknown>>;
  payload: Readonly<Record<string, unknown>>;
}>;

/**
 * Takes a JWS in compact form apart. One token has one spelling: unused bits at the end of a part must be zero, or the same
 * token could be written several ways and pass whatever remembers tokens by their text (jose accepts all of them).
 *
 * @throws AppError `token_too_large`, `token_malformed`.
 * @see RFC 7515 section 7.1, RFC 4648 section 3.5
 */
export function parseCompactToken(token: string): UnverifiedToken {
  if (token.length > maxTokenLength) throw new AppError('token_too_large');
  const parts = token.split('.');
  if (parts.length !== 3) throw malformed('not three parts');
  const [header, payload, signature] = parts as [string, string, string];
  if (!isCanonicalBase64url(header) || !isCanonicalBase64url(payload) || !isCanonicalBase64url(signature)) {
    throw malformed('not canonical base64url');
  }
  if (header === '' || payload === '') throw malformed('an empty part');
  // An unsigned token; said here, since no key needs to be looked for.
  if (signature === '') throw malformed('no signature', 'token_algorithm_refused');
  return { header: parsePart(header, 'header'), payload: parsePart(payload, 'payload') };
}

const base64url = /^[A-Za-z0-9_-]*$/;
const endsWithFourZeroBits = /[AQgw]$/;
const endsWithTwoZeroBits = /[AEIMQUYcgkosw048]$/;

/** Whether encoding what this decodes to gives the same text back. */
export function isCanonicalBase64url(text: string): boolean {
  if (!base64url.test(text)) return false;
  switch (text.length % 4) {
    case 0:
      return true;
    case 2:
      return endsWithFourZeroBits.test(text);
    case 3:
      return endsWithTwoZeroBits.test(text);
    default:
      return false;
  }
}

function parsePart(part: string, name: string): Record<string, unknown> {
  try {
    return parseStrictObject(Buffer.from(part, 'base64url'));
  } catch (cause) {
    throw new AppError('token_malformed', { cause, detail: { reason: `the ${name} is not one JSON object` } });
  }
}

function malformed(reason: string, code: Code = 'token_malformed'): AppError {
  return new AppError(code, { detail: { reason } });
}
