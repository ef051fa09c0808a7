import type { UserIdentity } from '@countersign/identity';
import { requestIdOf } from '@countersign/service-kit';
import type { Response } from 'express';
import { z } from 'zod';
import { AppError } from '../../errors.ts';
import {
  type Asking,
  confirmEnrolment,
  enrolTotp,
  readSecondFactor,
  removeTotp,
  renewRecoveryCodes,
} from '../../flows/second-factor/second-factor.ts';
import { secondFactorCode } from '../fields.ts';
import { route } from '../route.ts';

const recoveryCodes = z
  .object({ recovery_codes: z.array(z.string()).describe('Each code works once. They are not shown again.') })
  .meta({ id: 'RecoveryCodes' });

const freshLogin = 'Requires a login within the last five minutes, with the second factor if one is set up.';

export const secondFactorRoutes = [
  route({
    method: 'get',
    path: '/v1/auth/mfa',
    operationId: 'readSecondFactor',
    tag: 'Second factor',
    summary: 'Read the state of the second factor',
    description: 'Whether logins require a second factor, and how many recovery codes are left.',
    callers: ['user'],
    responses: { 200: z.object({ totp: z.boolean(), recovery_codes_left: z.int() }) },
    errors: [],
  }).handle(async ({ identity, reply }, parts) => {
    const { enabled, recoveryCodesLeft } = await readSecondFactor(parts, identity.userId);
    reply(200, { totp: enabled, recovery_codes_left: recoveryCodesLeft });
  }),

  route({
    method: 'post',
    path: '/v1/auth/mfa/totp',
    operationId: 'enrolTotp',
    tag: 'Second factor',
    summary: 'Start enrolling an authenticator app',
    description: freshLogin,
    callers: ['user'],
    responses: {
      200: z.object({
        secret: z.string().describe('Base32, for manual entry.'),
        otpauth_uri: z.string().describe('The content of a QR code.'),
      }),
    },
    errors: ['fresh_login_required', 'mfa_already_enabled'],
  }).handle(async ({ res, identity, reply }, parts) => {
    const { secret, uri } = await enrolTotp(parts, askingOf(res, identity));
    reply(200, { secret, otpauth_uri: uri });
  }),

  route({
    method: 'post',
    path: '/v1/auth/mfa/totp/confirm',
    operationId: 'confirmTotp',
    tag: 'Second factor',
    summary: 'Confirm the authenticator app with a code',
    description: freshLogin,
    callers: ['user'],
    body: z.strictObject({ code: secondFactorCode }),
    responses: { 200: recoveryCodes },
    errors: ['fresh_login_required', 'mfa_not_enrolled', 'mfa_already_enabled', 'invalid_code', 'too_many_attempts'],
  }).handle(async ({ res, identity, body, reply }, parts) => {
    const codes = await confirmEnrolment(parts, askingOf(res, identity), body.code);
    reply(200, { recovery_codes: codes });
  }),

  route({
    method: 'delete',
    path: '/v1/auth/mfa/totp',
    operationId: 'removeTotp',
    tag: 'Second factor',
    summary: 'Remove the second factor',
    description: freshLogin,
    callers: ['user'],
    responses: { 204: null },
    errors: ['fresh_login_required', 'mfa_not_enrolled'],
  }).handle(async ({ res, identity, reply }, parts) => {
    await removeTotp(parts, askingOf(res, identity));
    reply(204);
  }),

  route({
    method: 'post',
    path: '/v1/auth/mfa/recovery-codes',
    operationId: 'renewRecoveryCodes',
    tag: 'Second factor',
    summary: 'Replace the recovery codes',
    description: freshLogin,
    callers: ['user'],
    responses: { 200: recoveryCodes },
    errors: ['fresh_login_required', 'mfa_not_enrolled'],
  }).handle(async ({ res, identity, reply }, parts) => {
    const codes = await renewRecoveryCodes(parts, askingOf(res, identity));
    reply(200, { recovery_codes: codes });
  }),
];

/** Reads the session from the signed identity, which the gateway takes from the access token. */
function askingOf(res: Response, { userId, tenantId, context }: UserIdentity): Asking {
  // Tokens of another issuer may have no session, and then cannot change a second factor.
  if (context.sid === undefined) throw new AppError('fresh_login_required', { detail: { reason: 'no session' } });
  return {
    userId,
    tenantId,
    sessionId: context.sid,
    authTimeSec: context.authTime,
    amr: context.amr ?? [],
    requestId: requestIdOf(res),
    ip: context.ip,
  };
}
