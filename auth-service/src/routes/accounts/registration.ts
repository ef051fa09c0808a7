import { createRouter } from '@countersign/service-kit';
import type { Router } from 'express';
import { z } from 'zod';
import { type RegisterParts, register, resendVerification, verifyEmail } from '../../flows/accounts/register.ts';
import { callerOf } from '../caller.ts';
import { endpoint, serve } from '../endpoint.ts';
import { emailAddress, mailedToken, newPassword } from '../fields.ts';

export const registerEndpoint = endpoint({
  method: 'post',
  path: '/v1/auth/register',
  operationId: 'register',
  summary: 'Ask for an account; the answer is the same whether or not the address has one, and the rest comes by mail',
  access: 'public',
  body: z.object({ email: emailAddress }),
  answers: { 202: null },
  refusals: ['registration_off', 'too_many_attempts'],
});

export const verifyEmailEndpoint = endpoint({
  method: 'post',
  path: '/v1/auth/email/verify',
  operationId: 'verifyEmail',
  summary: 'Confirm an address with the token that was mailed to it and choose a password, which makes the account',
  access: 'public',
  body: z.object({ token: mailedToken, password: newPassword }),
  answers: { 204: null },
  refusals: ['invalid_token', 'too_many_attempts', 'login_busy'],
});

export const resendEmailEndpoint = endpoint({
  method: 'post',
  path: '/v1/auth/email/resend',
  operationId: 'resendVerification',
  summary: 'Have the confirmation mailed once more, where one is awaited',
  access: 'public',
  body: z.object({ email: emailAddress }),
  answers: { 202: null },
  refusals: ['too_many_attempts'],
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
