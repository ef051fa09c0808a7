import { commonErrors, type ErrorTable, AppError as KitError } from '@countersign/service-kit';

/** Every code this service can answer with; `docs/errors.md` lists the same ones. */
export const errors = {
  ...commonErrors,
  // One code for every cause: the answer must not tell a guesser which part was wrong.
  invalid_credentials: { status: 401, fault: 'caller', title: 'E-mail, password or tenant is wrong.' },
  tenant_selection_required: { status: 409, fault: 'caller', title: 'Choose one of your tenants.' },
  invalid_selection_token: { status: 401, fault: 'caller', title: 'Log in again to choose a tenant.' },
  invalid_mfa_token: { status: 401, fault: 'caller', title: 'Log in again to show your second factor.' },
  invalid_code: { status: 401, fault: 'caller', title: 'The code is wrong, was used already, or has expired.' },
  fresh_login_required: { status: 401, fault: 'caller', title: 'Log in again, then repeat this within five minutes.' },
  mfa_not_enrolled: { status: 404, fault: 'caller', title: 'There is no second factor.' },
  mfa_already_enabled: { status: 409, fault: 'caller', title: 'There is a second factor already; remove it first.' },
  mfa_required: { status: 401, fault: 'caller', title: 'Enter a code of your second factor.' },
  too_many_attempts: { status: 429, fault: 'caller', title: 'Too many attempts. Try again later.' },
  login_busy: {
    status: 503,
    fault: 'capacity',
    title: 'Too many logins right now. Try again shortly.',
    retryAfterSec: 2,
  },
  registration_off: { status: 403, fault: 'caller', title: 'Accounts are not made here. Ask for an invitation.' },
  invalid_token: {
    status: 400,
    fault: 'caller',
    title: 'The link is not valid, or was used already. Ask for a new one.',
  },
  insufficient_role: { status: 403, fault: 'caller', title: 'Your role does not allow this.' },
  tenant_mismatch: { status: 403, fault: 'caller', title: 'This belongs to another tenant.' },
  not_a_member: { status: 403, fault: 'caller', title: 'You do not belong to this tenant.' },
  already_member: { status: 409, fault: 'caller', title: 'This person belongs to the tenant already.' },
  already_invited: { status: 409, fault: 'caller', title: 'This address has an open invitation. Withdraw it first.' },
  last_admin: { status: 409, fault: 'caller', title: 'A tenant needs an administrator who can log in.' },
  invitation_gone: { status: 410, fault: 'caller', title: 'The invitation was used or withdrawn, or has expired.' },
  invalid_refresh_token: { status: 401, fault: 'caller', title: 'The refresh token is not valid.' },
  audit_broken: { status: 409, fault: 'ours', title: 'The audit log was changed: a chain does not hold.' },
  two_refresh_tokens: { status: 400, fault: 'caller', title: 'Send one refresh token, in the body or in the cookie.' },
  cross_site_refused: { status: 403, fault: 'caller', title: 'This page may not use the session cookie.' },
  // RFC 6749 section 5.2 and RFC 8693 section 2.2.2: the token endpoint's own codes.
  invalid_client: {
    status: 401,
    fault: 'caller',
    title: 'The client is unknown or disabled, or its credentials are wrong.',
  },
  unauthorized_client: { status: 400, fault: 'caller', title: 'The client may not use this grant type.' },
  unsupported_grant_type: {
    status: 400,
    fault: 'caller',
    title: 'The token endpoint does not support this grant type.',
  },
  unsupported_response_type: {
    status: 400,
    fault: 'caller',
    title: 'No grant type of this server needs the authorization endpoint. Use the token endpoint.',
  },
  invalid_scope: {
    status: 400,
    fault: 'caller',
    title: 'The scope is malformed, or is more than the client may have.',
  },
  target_not_offered: { status: 400, fault: 'caller', title: 'No token is issued for this audience or resource.' },
  too_many_delegations: {
    status: 409,
    fault: 'caller',
    title: 'You let clients act for you as often as you may. Withdraw a consent first.',
  },
  actor_not_allowed: { status: 403, fault: 'caller', title: 'This actor is not allowed to act for the caller here.' },
  refresh_token_reused: {
    status: 401,
    fault: 'caller',
    title: 'The refresh token was used before; the session has ended.',
  },
  session_expired: { status: 401, fault: 'caller', title: 'The session has expired.' },
  session_revoked: { status: 401, fault: 'caller', title: 'The session has ended.' },
} as const satisfies ErrorTable;

export type ErrorCode = keyof typeof errors;

export class AppError extends KitError<ErrorCode> {}
