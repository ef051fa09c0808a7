import {
  caller,
  capacity,
  commonErrors,
  type ErrorTable,
  entry,
  AppError as KitError,
  ours,
} from '@countersign/process-kit';

/** Every error code of this service, as listed in `docs/errors.md`. */
export const errors = {
  ...commonErrors,
  // One code for all causes, so that the response does not reveal which part was wrong.
  invalid_credentials: caller(401, 'The email address, password or tenant is incorrect.'),
  tenant_selection_required: caller(409, 'You belong to several tenants. Choose one.'),
  invalid_selection_token: caller(401, 'The login has expired. Log in again to choose a tenant.'),
  invalid_mfa_token: caller(401, 'The login has expired. Log in again to enter a two-factor code.'),
  invalid_code: caller(401, 'The code is incorrect, already used, or expired.'),
  fresh_login_required: caller(401, 'Log in again, then retry within five minutes. This action needs a recent login.'),
  mfa_not_enrolled: caller(404, 'Two-factor authentication is not set up.'),
  mfa_already_enabled: caller(409, 'Two-factor authentication is already set up. Remove it first.'),
  mfa_required: caller(401, 'Enter a two-factor code.'),
  too_many_attempts: caller(429, 'Too many attempts. Try again later.'),
  login_busy: capacity(503, 'Too many people are logging in. Try again shortly.', 2),
  registration_off: caller(403, 'Registration is closed. Ask an administrator for an invitation.'),
  invalid_token: caller(400, 'This link is invalid, has expired, or was already used. Request a new one.'),
  insufficient_role: caller(403, 'Your role does not allow this action.'),
  tenant_mismatch: caller(403, 'This resource belongs to another tenant.'),
  not_a_member: caller(403, 'You are not a member of this tenant.'),
  already_member: caller(409, 'This person is already a member of the tenant.'),
  already_invited: caller(409, 'This address already has a pending invitation. Withdraw it first.'),
  last_admin: caller(409, 'A tenant must keep at least one administrator who can log in.'),
  invitation_gone: caller(410, 'The invitation was already used, withdrawn, or has expired.'),
  invalid_refresh_token: caller(401, 'The refresh token is invalid.'),
  audit_broken: ours(409, 'The audit log was altered: its hash chain does not verify.'),
  two_refresh_tokens: caller(400, 'Send the refresh token in the body or in the cookie, not in both.'),
  form_expired: caller(403, 'This form has expired. Check your entries and submit it again.'),
  names_unavailable: entry('upstream')(503, 'Names are unavailable right now. Try again shortly.', 2),
  cross_site_refused: caller(403, 'Requests from this site cannot use the session cookie.'),
  // For the token endpoint: RFC 6749 section 5.2 and RFC 8693 section 2.2.2.
  invalid_client: caller(401, 'The OAuth client is unknown or disabled, or its credentials are wrong.'),
  unauthorized_client: caller(400, 'This OAuth client cannot use this grant type.'),
  unsupported_grant_type: caller(400, 'The token endpoint does not support this grant type.'),
  unsupported_response_type: caller(
    400,
    'This server does not support the authorization endpoint. Use the token endpoint.',
  ),
  invalid_scope: caller(400, 'The scope is malformed, or the OAuth client is not allowed to request it.'),
  target_not_offered: caller(400, 'This server does not issue tokens for this audience or resource.'),
  too_many_delegations: caller(409, 'You have reached the limit of 100 connected applications. Disconnect one first.'),
  actor_not_allowed: caller(403, 'This actor is not allowed to act for the caller here.'),
  refresh_token_reused: caller(401, 'The refresh token was already used, so the session has ended.'),
  session_expired: caller(401, 'The session has expired.'),
  session_revoked: caller(401, 'The session has ended.'),
} as const satisfies ErrorTable;

export type ErrorCode = keyof typeof errors;

export class AppError extends KitError<ErrorCode> {}
