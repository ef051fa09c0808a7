import { z } from 'zod';
import { maxPasswordLength } from '../domain/accounts/passwords.ts';
import { changePassword } from '../flows/accounts/change-password.ts';
import { register, requestLink, verifyEmail } from '../flows/accounts/register.ts';
import { resetPassword } from '../flows/accounts/reset-password.ts';
import { callerOf, sessionOf } from './caller.ts';
import { emailAddress, mailedToken, newPassword, secretText } from './fields.ts';
import { route } from './route.ts';

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
    await requestLink(parts, 'verification_again', body.email, callerOf(req, res, identity));
    reply(202);
  }),
];

export const passwordRoutes = [
  route({
    ...publicForm,
    path: '/v1/auth/password/forgot',
    operationId: 'forgotPassword',
    summary: 'Request a password reset link',
    description: 'The response is the same whether or not the address has an account.',
    body: z.strictObject({ email: emailAddress }),
    responses: { 202: null },
    errors: ['too_many_attempts'],
  }).handle(async ({ req, res, identity, body, reply }, parts) => {
    await requestLink(parts, 'password_reset', body.email, callerOf(req, res, identity));
    reply(202);
  }),

  route({
    ...publicForm,
    path: '/v1/auth/password/reset',
    operationId: 'resetPassword',
    summary: 'Choose a new password with an emailed token',
    description: 'Ends all your sessions.',
    body: z.strictObject({ token: mailedToken, password: newPassword }),
    responses: { 204: null },
    errors: ['invalid_token', 'too_many_attempts', 'login_busy'],
  }).handle(async ({ req, res, identity, body, reply }, parts) => {
    await resetPassword(parts, body, callerOf(req, res, identity));
    reply(204);
  }),

  route({
    method: 'post',
    path: '/v1/auth/password/change',
    operationId: 'changePassword',
    tag: 'Accounts',
    summary: 'Change your password',
    description: 'Ends all your other sessions.',
    callers: ['user'],
    body: z.strictObject({
      current_password: secretText(maxPasswordLength).meta({ examples: ['battery staple correct horse'] }),
      new_password: newPassword,
    }),
    responses: { 204: null },
    errors: ['invalid_credentials', 'session_revoked', 'too_many_attempts', 'login_busy'],
  }).handle(async ({ req, res, identity, body, reply }, parts) => {
    const given = { current: body.current_password, next: body.new_password };
    await changePassword(parts, sessionOf(identity), given, callerOf(req, res, identity));
    reply(204);
  }),
];
