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
  .object({ recovery_codes: z.array(z.string()).describe('Each code works once. The codes are not shown again.') })
  .meta({ id: 'RecoveryCodes' });

const afterLogin = {
  tag: 'Second factor',
  description: 'Requires a login within the last five minutes, with the second factor if you have one.',
  callers: ['user'],
} as const;

export const secondFactorRoutes = [
  route({
    method: 'get',
    path: '/v1/auth/mfa',
    operationId: 'readSecondFactor',
    tag: 'Second factor',
    summary: 'Check whether you have a second factor',
    description: 'Also returns the number of unused recovery codes.',
    callers: ['user'],
    responses: { 200: z.object({ totp: z.boolean(), recovery_codes_left: z.int() }) },
    errors: [],
  }).handle(async ({ identity, reply }, parts) => {
    const { enabled, recoveryCodesLeft } = await readSecondFactor(parts, identity.userId);
    reply(200, { totp: enabled, recovery_codes_left: recoveryCodesLeft });
  }),

  route({
    ...afterLogin,
    method: 'post',
    path: '/v1/auth/mfa/totp',
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
    const { secret, uri } = await enrolTotp(parts, askingOf(res, identity));
    reply(200, { secret, otpauth_uri: uri });
  }),

  route({
    ...afterLogin,
    method: 'post',
    path: '/v1/auth/mfa/totp/confirm',
    operationId: 'confirmTotp',
    summary: 'Finish enrolling an authenticator app',
    body: z.strictObject({ code: secondFactorCode }),
    responses: { 200: recoveryCodes },
    errors: ['fresh_login_required', 'mfa_not_enrolled', 'mfa_already_enabled', 'invalid_code', 'too_many_attempts'],
  }).handle(async ({ res, identity, body, reply }, parts) => {
    const codes = await confirmEnrolment(parts, askingOf(res, identity), body.code);
    reply(200, { recovery_codes: codes });
  }),

  route({
    ...afterLogin,
    method: 'delete',
    path: '/v1/auth/mfa/totp',
    operationId: 'removeTotp',
    summary: 'Remove your second factor',
    responses: { 204: null },
    errors: ['fresh_login_required', 'mfa_not_enrolled'],
  }).handle(async ({ res, identity, reply }, parts) => {
    await removeTotp(parts, askingOf(res, identity));
    reply(204);
  }),

  route({
    ...afterLogin,
    method: 'post',
    path: '/v1/auth/mfa/recovery-codes',
    operationId: 'renewRecoveryCodes',
    summary: 'Replace your recovery codes',
    responses: { 200: recoveryCodes },
    errors: ['fresh_login_required', 'mfa_not_enrolled'],
  }).handle(async ({ res, identity, reply }, parts) => {
    const codes = await renewRecoveryCodes(parts, askingOf(res, identity));
    reply(200, { recovery_codes: codes });
  }),
];

/** Reads the session from the signed identity. The gateway takes it from the access token. */
function askingOf(res: Response, { userId, tenantId, context }: UserIdentity): Asking {
  // Tokens from another issuer may have no session. They cannot change a second factor.
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
