import { z } from 'zod';
import { maxPasswordLength } from '../../domain/accounts/passwords.ts';
import type { Transport } from '../../domain/sessions/session-rules.ts';
import { showSecondFactor } from '../../flows/second-factor/second-step.ts';
import { chooseTenant, logIn } from '../../flows/sessions/log-in.ts';
import { callerOf } from '../caller.ts';
import { loginToken, secondFactorCode, secretText, tenantIdField, text, transport } from '../fields.ts';
import { route } from '../route.ts';
import { refuseForeignPage } from './browser.ts';
import { answerAdmission, tokens } from './token-answer.ts';

const loginStep = {
  method: 'post',
  tag: 'Sessions',
  callers: ['anonymous', 'user'],
  responses: { 200: tokens },
} as const;

export const loginRoutes = [
  route({
    ...loginStep,
    path: '/v1/auth/login',
    operationId: 'logIn',
    summary: 'Log in with email and password',
    body: z
      .strictObject({
        email: text(254),
        password: secretText(maxPasswordLength),
        tenant: text(64)
          .optional()
          .describe('The slug of the tenant to log in to, for users who belong to several tenants.'),
        transport,
      })
      .meta({ examples: [{ email: 'ann@acme.test', password: 'correct horse battery staple' }] }),
    errors: [
      'invalid_credentials',
      'tenant_selection_required',
      'mfa_required',
      'cross_site_refused',
      'too_many_attempts',
      'login_busy',
    ],
  }).handle(async ({ req, res, identity, body }, parts) => {
    refuseForeignPage(parts, req, body.transport);
    await answerAdmission(req, res, parts, await logIn(parts, body, callerOf(req, res, identity)));
  }),

  route({
    ...loginStep,
    path: '/v1/auth/login/tenant',
    operationId: 'chooseTenant',
    summary: 'Choose a tenant to finish a login',
    body: z.strictObject({ selection_token: loginToken, tenant_id: tenantIdField }),
    errors: ['invalid_selection_token', 'mfa_required', 'cross_site_refused', 'too_many_attempts'],
  }).handle(async ({ req, res, identity, body }, parts) => {
    const mayUse = (by: Transport) => refuseForeignPage(parts, req, by);
    const given = { selectionToken: body.selection_token, tenantId: body.tenant_id, mayUse };
    await answerAdmission(req, res, parts, await chooseTenant(parts, given, callerOf(req, res, identity)));
  }),

  route({
    ...loginStep,
    path: '/v1/auth/login/mfa',
    operationId: 'showSecondFactor',
    summary: 'Finish a login with a second factor',
    description: 'Send a code from your authenticator app, or a recovery code.',
    body: z.strictObject({ mfa_token: loginToken, code: secondFactorCode }),
    errors: ['invalid_mfa_token', 'invalid_code', 'cross_site_refused', 'too_many_attempts'],
  }).handle(async ({ req, res, identity, body }, parts) => {
    const mayUse = (by: Transport) => refuseForeignPage(parts, req, by);
    const given = { mfaToken: body.mfa_token, code: body.code, mayUse };
    await answerAdmission(req, res, parts, await showSecondFactor(parts, given, callerOf(req, res, identity)));
  }),
];
