import { MalformedJwt, parseJwt, type UnverifiedJwt } from '@countersign/strict-jwt';
import { AppError } from '../errors.ts';

/** The longest accepted token, in characters. */
export const maxTokenLength = 8192;

/**
 * Parses an access token or a transaction token.
 *
 * @throws AppError `token_too_large`, `token_malformed`. `token_algorithm_refused` if there is no signature.
 */
export function parseCompactToken(token: string): UnverifiedJwt {
  if (token.length > maxTokenLength) throw new AppError('token_too_large');
  try {
    return parseJwt(token);
  } catch (error) {
    if (!(error instanceof MalformedJwt)) throw error;
    const { isUnsigned, message: reason, cause } = error;
    throw new AppError(isUnsigned ? 'token_algorithm_refused' : 'token_malformed', { cause, detail: { reason } });
  }
}
