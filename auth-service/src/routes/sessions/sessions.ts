import { requestIdOf } from '@countersign/process-kit';
import { jsonOf, namedObject } from '@countersign/service-kit';
import { z } from 'zod';
import { maxPasswordLength } from '../../domain/accounts/passwords.ts';
import { AppError } from '../../errors.ts';
import { showSecondFactor } from '../../flows/second-factor/second-factor.ts';
import { logOut } from '../../flows/sessions/end-sessions.ts';
import { chooseTenant, logIn, switchTenant } from '../../flows/sessions/log-in.ts';
import { identifySession, refresh } from '../../flows/sessions/refresh.ts';
import { listOwnSessions } from '../../store/sessions/sessions.ts';
import { loginToken, refreshToken, secondFactorCode, secretText, tenantIdField, text, transport } from '../fields.ts';
import { callerOf, inSessionOf, route, sessionOf } from '../route.ts';
import {
  answerLogin,
  answerWithTokens,
  clearCookie,
  clearingDeadCookie,
  passwordLoginErrors,
  refreshTokenErrors,
  refreshTokenOf,
  tokens,
} from './token-answer.ts';

const forAnyone = {
  tag: 'Sessions',
  callers: ['anonymous', 'user'],
  responses: { 200: tokens },
} as const;
const forPeople = { tag: 'Sessions', callers: ['user'] } as const;

const session = namedObject('Session', {
  id: z.uuid(),
  current: z.boolean(),
  ip: z.string().nullable(),
  user_agent: z.string().nullable(),
  created_at: z.iso.datetime(),
  last_used_at: z.iso.datetime(),
});

export const sessionRoutes = [
  route('POST /v1/auth/login', {
    ...forAnyone,
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
    errors: ['tenant_selection_required', ...passwordLoginErrors],
  }).handle((call, parts) =>
    answerLogin(call, parts, (caller, mayUse) => {
      mayUse(call.body.transport);
      return logIn(parts, { ...call.body, cookie: call.req.headers.cookie }, caller);
    }),
  ),

  route('POST /v1/auth/login/tenant', {
    ...forAnyone,
    operationId: 'chooseTenant',
    summary: 'Choose a tenant to finish a login',
    body: z.strictObject({ selection_token: loginToken, tenant_id: tenantIdField }),
    errors: ['invalid_selection_token', 'mfa_required', 'cross_site_refused', 'too_many_attempts'],
  }).handle((call, parts) => {
    const { selection_token: selectionToken, tenant_id: tenantId } = call.body;
    return answerLogin(call, parts, (caller, mayUse) =>
      chooseTenant(parts, { selectionToken, tenantId, mayUse }, caller),
    );
  }),

  route('POST /v1/auth/login/mfa', {
    ...forAnyone,
    operationId: 'showSecondFactor',
    summary: 'Finish a login with a second factor',
    description: 'Send a code from your authenticator app, or a recovery code.',
    body: z.strictObject({ mfa_token: loginToken, code: secondFactorCode }),
    errors: ['invalid_mfa_token', 'invalid_code', 'cross_site_refused', 'too_many_attempts'],
  }).handle((call, parts) => {
    const { mfa_token: mfaToken, code } = call.body;
    return answerLogin(call, parts, (caller, mayUse) => showSecondFactor(parts, { mfaToken, code, mayUse }, caller));
  }),

  route('POST /v1/auth/refresh', {
    ...forAnyone,
    operationId: 'refresh',
    summary: 'Get new tokens for your session',
    description:
      'Send the refresh token in the body, or in the cookie `__Host-rt` with an allowed `Origin` and `X-Requested-With`. The new refresh token is returned the same way.',
    body: z.strictObject({ refresh_token: refreshToken }).default({}),
    errors: [...refreshTokenErrors, 'refresh_token_reused', 'session_expired', 'session_revoked'],
  }).handle(async ({ req, res, identity, body }, parts) => {
    const { token, transport } = refreshTokenOf(parts, req, body.refresh_token);
    const grant = await clearingDeadCookie(transport, () => refresh(parts, token, callerOf(req, res, identity)));
    await answerWithTokens(res, parts, { grant, transport });
  }),

  route('POST /v1/auth/logout', {
    ...forAnyone,
    operationId: 'logOut',
    summary: 'Log out',
    description:
      'Without an access token, send the refresh token in the body, or in the cookie `__Host-rt` with an allowed `Origin` and `X-Requested-With`. The cookie is cleared unless `scope` is `others`.',
    body: z
      .strictObject({ scope: z.enum(['this', 'others', 'all']).default('this'), refresh_token: refreshToken })
      .default({ scope: 'this' }),
    responses: { 204: null },
    errors: refreshTokenErrors,
  }).handle(async ({ req, res, identity, body, reply }, parts) => {
    const { scope } = body;
    const owner = inSessionOf(identity);
    if (owner !== undefined) await logOut(parts.db, owner, scope, requestIdOf(res));
    else {
      const { token } = refreshTokenOf(parts, req, body.refresh_token);
      const named = await identifySession(parts, token, identity.context.jkt ?? null);
      // An old token may be stolen, so it can end only its own session.
      if (named !== undefined) await logOut(parts.db, named.owner, named.current ? scope : 'this', requestIdOf(res));
    }
    if (scope !== 'others') clearCookie(req, res);
    reply(204);
  }),

  route('GET /v1/auth/sessions', {
    ...forPeople,
    operationId: 'listSessions',
    summary: 'List your sessions',
    description: 'Includes your sessions in all tenants.',
    responses: { 200: z.object({ items: z.array(session) }) },
  }).handle(async ({ identity, reply }, { db }) => {
    const sessions = await listOwnSessions(db, identity.userId);
    const items = sessions.map((row) => jsonOf(session, { ...row, current: row.id === identity.context.sid }));
    reply(200, { items });
  }),

  route('DELETE /v1/auth/sessions/:id', {
    ...forPeople,
    operationId: 'endSession',
    summary: 'End one of your sessions',
    params: z.object({ id: z.uuid() }),
    responses: { 204: null },
  }).handle(async ({ res, identity, params, reply }, { db }) => {
    const session = { userId: identity.userId, sessionId: params.id };
    if (!(await logOut(db, session, 'this', requestIdOf(res)))) throw new AppError('not_found');
    reply(204);
  }),

  route('POST /v1/auth/sessions/switch-tenant', {
    ...forPeople,
    operationId: 'switchTenant',
    summary: 'Switch to another of your tenants',
    description: 'Starts a session in that tenant without a new login.',
    body: z.strictObject({ tenant_id: tenantIdField, transport }),
    responses: { 200: tokens },
    errors: ['not_a_member', 'mfa_required', 'session_revoked', 'cross_site_refused', 'too_many_attempts'],
  }).handle((call, parts) => {
    const { tenant_id: tenantId, transport } = call.body;
    return answerLogin(call, parts, (caller, mayUse) => {
      mayUse(transport);
      return switchTenant(parts, sessionOf(call.identity), { tenantId, transport }, caller);
    });
  }),
];
