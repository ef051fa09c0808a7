import { z } from 'zod';
import { maxPasswordLength } from '../domain/accounts/passwords.ts';
import { changePassword, resetPassword } from '../flows/accounts/passwords.ts';
import { register, requestLink, verifyEmail } from '../flows/accounts/register.ts';
import { emailAddress, mailedToken, newPassword, personName, secretText } from './fields.ts';
import { callerOf, route, sessionOf } from './route.ts';

const publicForm = { tag: 'Accounts', callers: ['anonymous', 'user'] } as const;
const byAddress = { ...publicForm, body: z.strictObject({ email: emailAddress }), responses: { 202: null } } as const;
const byLink = {
  ...publicForm,
  body: z.strictObject({ token: mailedToken, password: newPassword }),
  responses: { 204: null },
  errors: ['invalid_token', 'too_many_attempts', 'login_busy'],
} as const;

export const accountRoutes = [
  route('POST /v1/auth/register', {
    ...byAddress,
    operationId: 'register',
    summary: 'Register an email address',
    description:
      'Sends an email with a link to the next step. The response is the same whether or not the address has an account.',
    errors: ['registration_off', 'too_many_attempts'],
  }).handle(async ({ req, res, identity, body, reply }, parts) => {
    await register(parts, body.email, callerOf(req, res, identity));
    reply(202);
  }),

  route('POST /v1/auth/email/verify', {
    ...byLink,
    body: byLink.body.extend({ name: personName.optional() }),
    operationId: 'verifyEmail',
    summary: 'Confirm an email address and choose a password',
    description: 'Creates the account. Send the token from the email.',
  }).handle(async ({ req, res, identity, body, reply }, parts) => {
    await verifyEmail(parts, body, callerOf(req, res, identity));
    reply(204);
  }),

  route('POST /v1/auth/email/resend', {
    ...byAddress,
    operationId: 'resendVerification',
    summary: 'Resend the confirmation email',
    description: 'Sends the email only if a registration is pending. The response is always the same.',
    errors: ['too_many_attempts'],
  }).handle(async ({ req, res, identity, body, reply }, parts) => {
    await requestLink(parts, 'verification_again', body.email, callerOf(req, res, identity));
    reply(202);
  }),
  route('POST /v1/auth/password/forgot', {
    ...byAddress,
    operationId: 'forgotPassword',
    summary: 'Request a password reset link',
    description: 'The response is the same whether or not the address has an account.',
    errors: ['too_many_attempts'],
  }).handle(async ({ req, res, identity, body, reply }, parts) => {
    await requestLink(parts, 'password_reset', body.email, callerOf(req, res, identity));
    reply(202);
  }),

  route('POST /v1/auth/password/reset', {
    ...byLink,
    operationId: 'resetPassword',
    summary: 'Choose a new password with an emailed token',
    description: 'Ends all your sessions.',
  }).handle(async ({ req, res, identity, body, reply }, parts) => {
    await resetPassword(parts, body, callerOf(req, res, identity));
    reply(204);
  }),

  route('POST /v1/auth/password/change', {
    ...publicForm,
    operationId: 'changePassword',
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
