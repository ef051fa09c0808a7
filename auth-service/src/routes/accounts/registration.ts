import { z } from 'zod';
import { register, resendVerification, verifyEmail } from '../../flows/accounts/register.ts';
import { callerOf } from '../caller.ts';
import { emailAddress, mailedToken, newPassword } from '../fields.ts';
import { route } from '../route.ts';

export const registrationRoutes = [
  route({
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
  }).handle(async ({ req, res, identity, body, reply }, parts) => {
    await register(parts, body.email, callerOf(req, res, identity));
    reply(202);
  }),

  route({
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
  }).handle(async ({ req, res, identity, body, reply }, parts) => {
    await verifyEmail(parts, body, callerOf(req, res, identity));
    reply(204);
  }),

  route({
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
  }).handle(async ({ req, res, identity, body, reply }, parts) => {
    await resendVerification(parts, body.email, callerOf(req, res, identity));
    reply(202);
  }),
];
