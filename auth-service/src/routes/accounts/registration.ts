import { z } from 'zod';
import { register, resendVerification, verifyEmail } from '../../flows/accounts/register.ts';
import { callerOf } from '../caller.ts';
import { emailAddress, mailedToken, newPassword } from '../fields.ts';
import { route } from '../route.ts';

const publicForm = { method: 'post', tag: 'Accounts', callers: ['anonymous', 'user'] } as const;

export const registrationRoutes = [
  route({
    ...publicForm,
    path: '/v1/auth/register',
    operationId: 'register',
    summary: 'Register an email address',
    description:
      'Sends an email with a link to the next step. The response is the same whether or not the address has an account.',
    body: z.strictObject({ email: emailAddress }),
    responses: { 202: null },
    errors: ['registration_off', 'too_many_attempts'],
  }).handle(async ({ req, res, identity, body, reply }, parts) => {
    await register(parts, body.email, callerOf(req, res, identity));
    reply(202);
  }),

  route({
    ...publicForm,
    path: '/v1/auth/email/verify',
    operationId: 'verifyEmail',
    summary: 'Confirm an email address and choose a password',
    description: 'Creates the account. Send the token from the email.',
    body: z.strictObject({ token: mailedToken, password: newPassword }),
    responses: { 204: null },
    errors: ['invalid_token', 'too_many_attempts', 'login_busy'],
  }).handle(async ({ req, res, identity, body, reply }, parts) => {
    await verifyEmail(parts, body, callerOf(req, res, identity));
    reply(204);
  }),

  route({
    ...publicForm,
    path: '/v1/auth/email/resend',
    operationId: 'resendVerification',
    summary: 'Resend the confirmation email',
    description: 'Sends the email only if a registration is pending. The response is always the same.',
    body: z.strictObject({ email: emailAddress }),
    responses: { 202: null },
    errors: ['too_many_attempts'],
  }).handle(async ({ req, res, identity, body, reply }, parts) => {
    await resendVerification(parts, body.email, callerOf(req, res, identity));
    reply(202);
  }),
];
