import { commonErrors, type ErrorTable, AppError as KitError } from '@countersign/service-kit';

/** Every code this service can answer with; `docs/errors.md` lists the same ones. */
export const errors = {
  ...commonErrors,
  // One code for every cause: the answer must not tell a guesser which part was wrong.
  invalid_credentials: { status: 401, fault: 'caller', title: 'The email address, password or tenant is incorrect.' },
  tenant_selection_required: { status: 409, fault: 'caller', title: 'You belong to several tenants. Choose one.' },
  invalid_selection_token: {
    status: 401,
    fault: 'caller',
    title: 'The login has expired. Log in again to choose a tenant.',
  },
  invalid_mfa_token: {
    status: 401,
    fault: 'caller',
    title: 'The login has expired. Log in again to enter a two-factor code.',
  },
  invalid_code: { status: 401, fault: 'caller', title: 'The code is incorrect, already used, or expired.' },
  fresh_login_required: {
    status: 401,
    fault: 'caller',
    title: 'This action needs a recent login. Log in again, then retry within five minutes.',
  },
  mfa_not_enrolled: { status: 404, fault: 'caller', title: 'Two-factor authentication is not set up.' },
  mfa_already_enabled: {
    status: 409,
    fault: 'caller',
    title: 'Two-factor authentication is already set up. Remove it first.',
  },
  mfa_required: { status: 401, fault: 'caller', title: 'Enter a two-factor code.' },
  too_many_attempts: { status: 429, fault: 'caller', title: 'Too many attempts. Try again later.' },
  login_busy: {
    status: 503,
    fault: 'capacity',
    title: 'Too many people are logging in. Try again shortly.',
    retryAfterSec: 2,
  },
  registration_off: {
    status: 403,
    fault: 'caller',
    title: 'Registration is closed. Ask an administrator for an invitation.',
  },
  invalid_token: {
    status: 400,
    fault: 'caller',
    title: 'This link is invalid or was already used. Request a new one.',
  },
  insufficient_role: { status: 403, fault: 'caller', title: 'Your role does not allow this.' },
  tenant_mismatch: { status: 403, fault: 'caller', title: 'This resource belongs to another tenant.' },
  not_a_member: { status: 403, fault: 'caller', title: 'You are not a member of this tenant.' },
  already_member: { status: 409, fault: 'caller', title: 'This person is already a member of the tenant.' },
  already_invited: {
    status: 409,
    fault: 'caller',
    title: 'This address already has a pending invitation. Withdraw it first.',
  },
  last_admin: { status: 409, fault: 'caller', title: 'A tenant must keep at least one administrator who can log in.' },
  invitation_gone: {
    status: 410,
    fault: 'caller',
    title: 'The invitation was already used, withdrawn, or has expired.',
  },
  invalid_refresh_token: { status: 401, fault: 'caller', title: 'The refresh token is invalid.' },
  audit_broken: { status: 409, fault: 'ours', title: 'The audit log was altered: its hash chain does not verify.' },
  two_refresh_tokens: {
    status: 400,
    fault: 'caller',
    title: 'Send the refresh token in the body or in the cookie, not in both.',
  },
  cross_site_refused: { status: 403, fault: 'caller', title: 'Requests from this site cannot use the session cookie.' },
  // RFC 6749 section 5.2 and RFC 8693 section 2.2.2: the token endpoint's own codes.
  invalid_client: {
    status: 401,
    fault: 'caller',
    title: 'The client is unknown or disabled, or its credentials are wrong.',
  },
  unauthorized_client: { status: 400, fault: 'caller', title: 'This client is not allowed to use this grant type.' },
  unsupported_grant_type: {
    status: 400,
    fault: 'caller',
    title: 'The token endpoint does not support this grant type.',
  },
  unsupported_response_type: {
    status: 400,
    fault: 'caller',
    title: 'This server has no authorization endpoint. Use the token endpoint.',
  },
  invalid_scope: {
    status: 400,
    fault: 'caller',
    title: 'The scope is malformed, or the client is not allowed to request it.',
  },
  target_not_offered: {
    status: 400,
    fault: 'caller',
    title: 'This server does not issue tokens for this audience or resource.',
  },
  too_many_delegations: {
    status: 409,
    fault: 'caller',
    title: 'You have reached the limit of 100 connected applications. Remove one first.',
  },
  actor_not_allowed: { status: 403, fault: 'caller', title: 'This actor is not allowed to act for the caller here.' },
  refresh_token_reused: {
    status: 401,
    fault: 'caller',
    title: 'The refresh token was already used, so the session has ended.',
  },
  session_expired: { status: 401, fault: 'caller', title: 'The session has expired.' },
  session_revoked: { status: 401, fault: 'caller', title: 'The session has ended.' },
} as const satisfies ErrorTable;

export type ErrorCode = keyof typeof errors;

export class AppError extends KitError<ErrorCode> {}
