import { createRouter, serve } from '@countersign/service-kit';
import type { Router } from 'express';
import { z } from 'zod';
import { maxPasswordLength } from '../../domain/accounts/passwords.ts';
import { changePassword, type PasswordParts } from '../../flows/accounts/change-password.ts';
import { forgotPassword, resetPassword } from '../../flows/accounts/reset-password.ts';
import { callerOf, sessionOf } from '../caller.ts';
import { endpoint } from '../endpoint.ts';
import { emailAddress, mailedToken, newPassword, secretText } from '../fields.ts';

export const forgotPasswordEndpoint = endpoint({
  method: 'post',
  path: '/v1/auth/password/forgot',
  operationId: 'forgotPassword',
  tag: 'Accounts',
  summary: 'Ask for a link to a new password',
  description: 'The answer is the same whether or not the address has an account.',
  callers: ['anonymous', 'user'],
  body: z.strictObject({ email: emailAddress }),
  responses: { 202: null },
  errors: ['too_many_attempts'],
});

export const resetPasswordEndpoint = endpoint({
  method: 'post',
  path: '/v1/auth/password/reset',
  operationId: 'resetPassword',
  tag: 'Accounts',
  summary: 'Choose a new password with a mailed token',
  description: 'Every session ends.',
  callers: ['anonymous', 'user'],
  body: z.strictObject({ token: mailedToken, password: newPassword }),
  responses: { 204: null },
  errors: ['invalid_token', 'too_many_attempts', 'login_busy'],
});

export const changePasswordEndpoint = endpoint({
  method: 'post',
  path: '/v1/auth/password/change',
  operationId: 'changePassword',
  tag: 'Accounts',
  summary: 'Change your password',
  description: 'Every other session ends.',
  callers: ['user'],
  body: z.strictObject({
    current_password: secretText(maxPasswordLength).meta({ examples: ['battery staple correct horse'] }),
    new_password: newPassword,
  }),
  responses: { 204: null },
  errors: ['invalid_credentials', 'session_revoked', 'too_many_attempts', 'login_busy'],
});

export function passwordRoutes(parts: PasswordParts): Router {
  const router = createRouter();

  serve(router, forgotPasswordEndpoint, async ({ req, res, identity, body }) => {
    await forgotPassword(parts, body.email, callerOf(req, res, identity));
    res.status(202).set('cache-control', 'no-store').end();
  });

  serve(router, resetPasswordEndpoint, async ({ req, res, identity, body }) => {
    await resetPassword(parts, body, callerOf(req, res, identity));
    res.status(204).end();
  });

  serve(router, changePasswordEndpoint, async ({ req, res, identity, body }) => {
    const given = { current: body.current_password, next: body.new_password };
    await changePassword(parts, sessionOf(identity), given, callerOf(req, res, identity));
    res.status(204).end();
  });

  return router;
}
