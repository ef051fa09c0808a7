import type { UserIdentity } from '@countersign/identity';
import { requestIdOf } from '@countersign/process-kit';
import type { Response } from 'express';
import { z } from 'zod';
import { AppError } from '../../errors.ts';
import * as flows from '../../flows/second-factor/second-factor.ts';
import { secondFactorCode } from '../fields.ts';
import { route } from '../route.ts';

const recoveryCodes = z
  .object({ recovery_codes: z.array(z.string()).describe('Each code works once. The codes are not shown again.') })
  .meta({ id: 'RecoveryCodes' });

const afterLogin = {
  tag: 'Second factor',
  description:
    'Requires a login within the last five minutes, with the second factor if you have one. A change ends your other ' +
    'sessions and is emailed to you.',
  callers: ['user'],
} as const;

export const secondFactorRoutes = [
  route('GET /v1/auth/mfa', {
    ...afterLogin,
    operationId: 'readSecondFactor',
    summary: 'Check whether you have a second factor',
    description: 'Also returns the number of unused recovery codes.',
    responses: { 200: z.object({ totp: z.boolean(), recovery_codes_left: z.int() }) },
  }).handle(async ({ identity, reply }, parts) => {
    reply(200, await flows.readSecondFactor(parts, identity.userId));
  }),

  route('POST /v1/auth/mfa/totp', {
    ...afterLogin,
    operationId: 'enrolTotp',
    summary: 'Start enrolling an authenticator app',
    responses: {
      200: z.object({
        secret: z.string().describe('The secret in base32, for manual entry.'),
        otpauth_uri: z.string().describe('The URI to show as a QR code.'),
      }),
    },
    errors: ['fresh_login_required', 'mfa_already_enabled'],
  }).handle(async ({ res, identity, reply }, parts) => {
    reply(200, await flows.enrolTotp(parts, askingOf(res, identity)));
  }),

  route('POST /v1/auth/mfa/totp/confirm', {
    ...afterLogin,
    operationId: 'confirmTotp',
    summary: 'Finish enrolling an authenticator app',
    body: z.strictObject({ code: secondFactorCode }),
    responses: { 200: recoveryCodes },
    errors: ['fresh_login_required', 'mfa_not_enrolled', 'mfa_already_enabled', 'invalid_code', 'too_many_attempts'],
  }).handle(async ({ res, identity, body, reply }, parts) => {
    reply(200, { recovery_codes: await flows.confirmEnrolment(parts, askingOf(res, identity), body.code) });
  }),

  route('DELETE /v1/auth/mfa/totp', {
    ...afterLogin,
    operationId: 'removeTotp',
    summary: 'Remove your second factor',
    responses: { 204: null },
    errors: ['fresh_login_required', 'mfa_not_enrolled'],
  }).handle(async ({ res, identity, reply }, parts) => {
    await flows.removeTotp(parts, askingOf(res, identity));
    reply(204);
  }),

  route('POST /v1/auth/mfa/recovery-codes', {
    ...afterLogin,
    operationId: 'renewRecoveryCodes',
    summary: 'Replace your recovery codes',
    responses: { 200: recoveryCodes },
    errors: ['fresh_login_required', 'mfa_not_enrolled'],
  }).handle(async ({ res, identity, reply }, parts) => {
    reply(200, { recovery_codes: await flows.renewRecoveryCodes(parts, askingOf(res, identity)) });
  }),
];

/** Reads the session from the signed identity. The gateway takes it from the access token. */
function askingOf(res: Response, { userId, tenantId, context }: UserIdentity): flows.Asking {
  // Tokens from another issuer may have no session. They cannot change a second factor.
  if (context.sid === undefined) throw new AppError('fresh_login_required', { detail: { reason: 'no session' } });
  const { sid: sessionId, authTime: authTimeSec, amr = [], ip = null } = context;
  return { userId, tenantId, sessionId, authTimeSec, amr, requestId: requestIdOf(res), ip };
}
