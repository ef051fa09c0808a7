import type { FormatError } from '@countersign/service-kit';
import { z } from 'zod';
import { authorizationPath, tokenPath } from '../../domain/clients/token-endpoint.ts';
import type { ErrorCode } from '../../errors.ts';

/** The error body that OAuth libraries read (RFC 6749 section 5.2). */
export const oauthError = z
  .object({ error: z.string(), error_description: z.string() })
  .meta({ id: 'OAuthError', description: 'RFC 6749 section 5.2.' });

/** OAuth names for our error codes, where they differ. */
const standardNames: Readonly<Partial<Record<ErrorCode, string>>> = {
  target_not_offered: 'invalid_target',
  payload_too_large: 'invalid_request',
  unsupported_media_type: 'invalid_request',
  too_many_attempts: 'temporarily_unavailable',
};

/**
 * Formats the caller's errors at the OAuth endpoints. A 401 has a Basic challenge only if the body has no credentials.
 * Some libraries ignore the body after a challenge, and RFC 6749 section 5.2 requires a challenge only if the request
 * had an `Authorization` header.
 */
export const formatOAuthError: FormatError = ({ code, errors }, { status, title, fault }, req) => {
  if (fault !== 'caller') return undefined;
  if (req.path !== tokenPath && req.path !== authorizationPath) return undefined;
  const error = standardNames[code as ErrorCode] ?? code;
  const description = errors?.map(({ message }) => message).join(' ') ?? title;
  const body: z.infer<typeof oauthError> = { error, error_description: description };
  const isChallenge = status === 401 && !hasCredentials(req.body);
  return { body, ...(isChallenge && { headers: { 'www-authenticate': 'Basic realm="token endpoint"' } }) };
};

const hasCredentials = (body: unknown): boolean =>
  typeof body === 'object' && body !== null && ('client_secret' in body || 'client_assertion' in body);
