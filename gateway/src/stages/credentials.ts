import type { Scheme } from '../config/config.ts';
import { AppError } from '../errors.ts';

// RFC 6750 section 2.1, RFC 9449 section 7.1: the scheme (in any case, RFC 9110 section 11.1), one space, one token. No list, no parameters.
const credentials = /^(bearer|dpop) ([A-Za-z0-9._~+/-]+=*)$/i;
const knownScheme = /^(bearer|dpop)(?:\s|,|$)/i;

/**
 * Takes an `Authorization` header apart.
 *
 * @param offered What can serve here at all: without public origins no proof can be checked, and DPoP is a scheme that we do not know. A route
 *   that offers only one is asked with the other all the same: what is wrong with the token is then said in full.
 * @throws AppError `invalid_request` where it is malformed, `token_missing` on another scheme.
 */
export function readCredentials(
  authorization: string,
  offered: readonly Scheme[],
): Readonly<{ scheme: Scheme; text: string }> {
  const [, named, text] = credentials.exec(authorization) ?? [];
  if (named !== undefined && text !== undefined) {
    const scheme = schemeOf(named);
    if (scheme === 'Bearer' || offered.includes(scheme)) return { scheme, text };
  } else {
    const scheme = knownScheme.exec(authorization)?.[1];
    if (scheme !== undefined) {
      throw new AppError('invalid_request', {
        detail: { reason: 'malformed Authorization' },
        headers: { 'www-authenticate': `${schemeOf(scheme)} error="invalid_request"` },
      });
    }
  }
  throw new AppError('token_missing', { detail: { reason: 'another scheme than Bearer or DPoP' } });
}

const schemeOf = (named: string): Scheme => (named.toLowerCase() === 'dpop' ? 'DPoP' : 'Bearer');
