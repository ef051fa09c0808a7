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
    summary: 'Register an email address',
    description: 'The response is the same whether or not the address has an account. An email has the next step.',
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
    summary: 'Confirm an email address and choose a password',
    description: 'Takes the token from the email, and creates the account.',
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
    summary: 'Resend the confirmation email',
    description: 'Sends it only if a registration is pending. The response is always the same.',
    callers: ['anonymous', 'user'],
    body: z.strictObject({ email: emailAddress }),
    responses: { 202: null },
    errors: ['too_many_attempts'],
  }).handle(async ({ req, res, identity, body, reply }, parts) => {
    await resendVerification(parts, body.email, callerOf(req, res, identity));
    reply(202);
  }),
];
