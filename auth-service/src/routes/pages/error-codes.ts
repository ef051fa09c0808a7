import type { ErrorCode } from '../../errors.ts';

/** The refusals that the account pages explain. Every language has a text for each. */
export const pageErrorCodes = [
  'already_member',
  'cross_site_refused',
  'form_expired',
  'internal_error',
  'invalid_code',
  'invalid_credentials',
  'invalid_mfa_token',
  'invalid_refresh_token',
  'invalid_request',
  'invalid_selection_token',
  'invalid_token',
  'invitation_gone',
  'login_busy',
  'not_found',
  'registration_off',
  'session_revoked',
  'too_many_attempts',
  'two_refresh_tokens',
  'unavailable',
  'validation_failed',
] as const satisfies readonly ErrorCode[];

export type PageErrorCode = (typeof pageErrorCodes)[number];
