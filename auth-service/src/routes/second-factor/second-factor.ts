import type { UserIdentity } from '@countersign/identity';
import { createRouter, requestIdOf, serve } from '@countersign/service-kit';
import type { Response, Router } from 'express';
import { z } from 'zod';
import { networkOf } from '../../domain/accounts/network.ts';
import { AppError } from '../../errors.ts';
import {
  type Asking,
  confirmEnrolment,
  enrolTotp,
  type FactorParts,
  readSecondFactor,
  removeTotp,
  renewRecoveryCodes,
} from '../../flows/second-factor/second-factor.ts';
import { endpoint } from '../endpoint.ts';
import { secondFactorCode } from '../fields.ts';

const recoveryCodes = z
  .object({ recovery_codes: z.array(z.string()).describe('Each works once. They are not shown again.') })
  .meta({ id: 'RecoveryCodes' });

const freshLogin = 'Needs a login of the last five minutes, with the second factor where there is one.';

export const readSecondFactorEndpoint = endpoint({
  method: 'get',
  path: '/v1/auth/mfa',
  operationId: 'readSecondFactor',
  tag: 'Second factor',
  summary: 'Read the state of the second factor',
  description: 'Whether a login asks for one, and how many recovery codes are left.',
  callers: ['user'],
  responses: { 200: z.object({ totp: z.boolean(), recovery_codes_left: z.int() }) },
  errors: [],
});

export const enrolTotpEndpoint = endpoint({
  method: 'post',
  path: '/v1/auth/mfa/totp',
  operationId: 'enrolTotp',
  tag: 'Second factor',
  summary: 'Start to enrol an authenticator app',
  description: freshLogin,
  callers: ['user'],
  responses: {
    200: z.object({
      secret: z.string().describe('Base32, to be typed.'),
      otpauth_uri: z.string().describe('To be shown as a QR code.'),
    }),
  },
  errors: ['fresh_login_required', 'mfa_already_enabled'],
});

export const confirmTotpEndpoint = endpoint({
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
});

export const removeTotpEndpoint = endpoint({
  method: 'delete',
  path: '/v1/auth/mfa/totp',
  operationId: 'removeTotp',
  tag: 'Second factor',
  summary: 'Remove the second factor',
  description: freshLogin,
  callers: ['user'],
  responses: { 204: null },
  errors: ['fresh_login_required', 'mfa_not_enrolled'],
});

export const renewRecoveryCodesEndpoint = endpoint({
  method: 'post',
  path: '/v1/auth/mfa/recovery-codes',
  operationId: 'renewRecoveryCodes',
  tag: 'Second factor',
  summary: 'Replace the recovery codes',
  description: freshLogin,
  callers: ['user'],
  responses: { 200: recoveryCodes },
  errors: ['fresh_login_required', 'mfa_not_enrolled'],
});

/** A person's own second factor. */
export function secondFactorRoutes(parts: FactorParts): Router {
  const router = createRouter();

  serve(router, readSecondFactorEndpoint, async ({ res, identity }) => {
    const { enabled, recoveryCodesLeft } = await readSecondFactor(parts, identity.userId);
    res.set('cache-control', 'no-store').json({ totp: enabled, recovery_codes_left: recoveryCodesLeft });
  });

  serve(router, enrolTotpEndpoint, async ({ res, identity }) => {
    const { secret, uri } = await enrolTotp(parts, askingOf(res, identity));
    res.set('cache-control', 'no-store').json({ secret, otpauth_uri: uri });
  });

  serve(router, confirmTotpEndpoint, async ({ res, identity, body }) => {
    const codes = await confirmEnrolment(parts, askingOf(res, identity), body.code);
    res.set('cache-control', 'no-store').json({ recovery_codes: codes });
  });

  serve(router, removeTotpEndpoint, async ({ res, identity }) => {
    await removeTotp(parts, askingOf(res, identity));
    res.status(204).end();
  });

  serve(router, renewRecoveryCodesEndpoint, async ({ res, identity }) => {
    const codes = await renewRecoveryCodes(parts, askingOf(res, identity));
    res.set('cache-control', 'no-store').json({ recovery_codes: codes });
  });

  return router;
}

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
    network: networkOf(context.ip),
  };
}
