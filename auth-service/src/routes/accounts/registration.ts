import { createRouter, serve } from '@countersign/service-kit';
import type { Router } from 'express';
import { z } from 'zod';
import { type RegisterParts, register, resendVerification, verifyEmail } from '../../flows/accounts/register.ts';
import { callerOf } from '../caller.ts';
import { endpoint } from '../endpoint.ts';
import { emailAddress, mailedToken, newPassword } from '../fields.ts';

export const registerEndpoint = endpoint({
  method: 'post',
  path: '/v1/auth/register',
  operationId: 'register',
  tag: 'Accounts',
  summary: 'Ask for an account',
  description: 'The answer is the same whether or not the address has an account. The rest comes by mail.',
  callers: ['anonymous', 'user'],
  body: z.strictObject({ email: emailAddress }),
  responses: { 202: null },
  errors: ['registration_off', 'too_many_attempts'],
});

export const verifyEmailEndpoint = endpoint({
  method: 'post',
  path: '/v1/auth/email/verify',
  operationId: 'verifyEmail',
  tag: 'Accounts',
  summary: 'Confirm an address and choose a password',
  description: 'With the token that was mailed. This creates the account.',
  callers: ['anonymous', 'user'],
  body: z.strictObject({ token: mailedToken, password: newPassword }),
  responses: { 204: null },
  errors: ['invalid_token', 'too_many_attempts', 'login_busy'],
});

export const resendEmailEndpoint = endpoint({
  method: 'post',
  path: '/v1/auth/email/resend',
  operationId: 'resendVerification',
  tag: 'Accounts',
  summary: 'Send the confirmation again',
  description: 'If one is awaited. The answer is always the same.',
  callers: ['anonymous', 'user'],
  body: z.strictObject({ email: emailAddress }),
  responses: { 202: null },
  errors: ['too_many_attempts'],
});

export function registrationRoutes(parts: RegisterParts): Router {
  const router = createRouter();

  serve(router, registerEndpoint, async ({ req, res, identity, body }) => {
    await register(parts, body.email, callerOf(req, res, identity));
    res.status(202).set('cache-control', 'no-store').end();
  });

  serve(router, verifyEmailEndpoint, async ({ req, res, identity, body }) => {
    await verifyEmail(parts, body, callerOf(req, res, identity));
    res.status(204).end();
  });

  serve(router, resendEmailEndpoint, async ({ req, res, identity, body }) => {
    await resendVerification(parts, body.email, callerOf(req, res, identity));
    res.status(202).set('cache-control', 'no-store').end();
  });

  return router;
}
