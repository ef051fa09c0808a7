import type { Request } from 'express';
import { z } from 'zod';
import { type ClientCredentials, readClientCredentials } from '../../domain/clients/client-credentials.ts';
import { grantTypes } from '../../domain/clients/client-rules.ts';
import { accessTokenType, delegationTokenType } from '../../domain/clients/delegation-token.ts';
import { tokenPath } from '../../domain/clients/token-endpoint.ts';
import {
  type ClientTokenInput,
  signClientToken,
  signDelegatedToken,
  type TokenIssuer,
} from '../../domain/sessions/access-token.ts';
import { accessTokenLifetimeSec } from '../../domain/sessions/session-rules.ts';
import { AppError } from '../../errors.ts';
import { type AuthenticatedOAuthClient, authenticateOAuthClient } from '../../flows/clients/authenticate-client.ts';
import { exchangeToken } from '../../flows/clients/exchange-token.ts';
import { issueClientToken } from '../../flows/clients/issue-client-token.ts';
import type { Caller } from '../../flows/sessions/grant.ts';
import { callerOf } from '../caller.ts';
import { type RouteParts, route } from '../route.ts';
import { oauthError } from './oauth-error.ts';

/** An empty parameter counts as absent, and a repeated one is an error (RFC 6749 section 3.2). */
const parameter = z
  .string()
  .max(16 * 1024)
  .transform((text) => (text === '' ? undefined : text))
  .optional();

/** RFC 8707 section 2 and RFC 8693 section 2.1 allow several values. */
const repeatable = z
  .union([z.string(), z.array(z.string())])
  .transform((given) => [given].flat().filter((text) => text !== ''))
  .default([]);

/** Token request parameters. */
export const tokenForm = z.object({
  grant_type: z.enum(grantTypes),
  scope: parameter.describe('Space-separated scopes. Defaults to all scopes of the OAuth client.'),
  resource: repeatable.describe('URLs with the same origin as the issuer (RFC 8707).'),
  audience: repeatable.describe('The audience of our access tokens. Any other value is refused.'),
  client_id: parameter,
  client_secret: parameter,
  client_assertion: parameter,
  client_assertion_type: parameter,
  subject_token: parameter.describe('The `subject_token` of a delegation, for a token exchange.'),
  subject_token_type: parameter.describe(`Must be \`${delegationTokenType}\` for a token exchange.`),
  requested_token_type: parameter.describe(`If present, must be \`${accessTokenType}\`.`),
  actor_token: parameter.describe('Not supported. The authenticated OAuth client is the actor.'),
});

export type TokenForm = z.infer<typeof tokenForm>;

/** @throws AppError `invalid_request`, `unsupported_grant_type`. */
export function readForm(req: Request): TokenForm {
  // A secret in a URL would end up in logs and browser histories (RFC 6749 section 2.3.1).
  if (req.originalUrl.includes('?')) throw invalidRequest('Send the parameters in the request body, not in the URL.');
  const given = { ...(req.body as Record<string, unknown> | undefined) };
  const parsed = tokenForm.safeParse(given);
  if (parsed.success) return parsed.data;
  const names = [...new Set(parsed.error.issues.map(({ path }) => String(path[0])))];
  if (names.includes('grant_type') && typeof given.grant_type === 'string' && given.grant_type !== '')
    throw new AppError('unsupported_grant_type');
  throw invalidRequest(`These parameters are missing, too long, or repeated: ${names.join(', ')}.`);
}

/** @throws AppError `invalid_client`, `invalid_request`. */
export function credentialsOf(req: Request, form: TokenForm): ClientCredentials {
  const credentials = readClientCredentials(req.headers.authorization, form);
  if (!('error' in credentials)) return credentials;
  throw new AppError(credentials.error, { errors: [{ path: 'client_id', message: credentials.reason }] });
}

/** @throws AppError `invalid_request` unless the form has a delegation token: a user's access token is not a consent. */
export function subjectTokenOf(form: TokenForm): string {
  const { subject_token, subject_token_type, requested_token_type = accessTokenType, actor_token } = form;
  if (subject_token === undefined || subject_token_type !== delegationTokenType)
    throw invalidRequest(`A subject_token of type ${delegationTokenType} is required.`);
  if (requested_token_type !== accessTokenType) throw invalidRequest('Only access tokens are issued.');
  if (actor_token !== undefined)
    throw invalidRequest('actor_token is not supported: the authenticated OAuth client is the actor.');
  return subject_token;
}

/** All tokens have one audience, so no other can be requested. @throws AppError `target_not_offered`. */
export function assertOwnAudience({ audience, resource }: TokenForm, issuer: TokenIssuer): void {
  const { origin } = new URL(issuer.issuer);
  const isOurs = (url: string) => URL.canParse(url) && new URL(url).origin === origin;
  if (audience.every((name) => name === issuer.audience) && resource.every(isOurs)) return;
  throw new AppError('target_not_offered');
}

const invalidRequest = (message: string) => new AppError('invalid_request', { errors: [{ path: 'body', message }] });

const clientToken = z
  .object({
    access_token: z.string(),
    issued_token_type: z.literal(accessTokenType).optional().describe('Present only in a token exchange response.'),
    token_type: z.enum(['Bearer', 'DPoP']),
    expires_in: z.int().describe('Seconds until the access token expires.'),
    scope: z.string().optional().describe('Space-separated scopes. Absent if the token has none.'),
  })
  .meta({ id: 'ClientToken' });

type ClientToken = z.infer<typeof clientToken>;

export const tokenRoutes = [
  route({
    method: 'post',
    path: tokenPath,
    operationId: 'issueToken',
    tag: 'Clients',
    summary: 'Get an access token as an OAuth client',
    description:
      'Supports client credentials (RFC 6749 section 4.4), and token exchange to act for a user who consented (RFC 8693). ' +
      'Authenticate with one of `client_secret_basic`, `client_secret_post` and `private_key_jwt` (RFC 7523). A DPoP proof ' +
      'binds the access token to its key (RFC 9449). Parameters in the URL are refused.',
    callers: ['anonymous'],
    query: z.looseObject({}), // `readForm` refuses it with an OAuth error.
    upload: { 'application/x-www-form-urlencoded': tokenForm },
    responses: { 200: clientToken },
    errors: [
      'invalid_client',
      'unauthorized_client',
      'unsupported_grant_type',
      'invalid_scope',
      'target_not_offered',
      'too_many_attempts',
    ],
    errorBody: oauthError,
  }).handle(async ({ req, res, identity, reply }, parts) => {
    const form = readForm(req);
    const caller = callerOf(req, res, identity);
    const oauthClient = await authenticateOAuthClient(parts, credentialsOf(req, form), caller.ip);
    assertOwnAudience(form, parts.issuer);
    const issue = form.grant_type === 'client_credentials' ? forOAuthClient : forPerson;
    const token = await issue(parts, oauthClient, form, caller);
    reply(200, token);
  }),
];

type Issue = (
  parts: RouteParts,
  oauthClient: AuthenticatedOAuthClient,
  form: TokenForm,
  caller: Caller,
) => Promise<ClientToken>;

const forOAuthClient: Issue = async (parts, oauthClient, { scope: asked }, caller) => {
  const input = await issueClientToken(parts, oauthClient, { asked, caller });
  const token = await signClientToken(input, parts.issuer, parts.signingKeys.current());
  return { access_token: token, ...answerOf(input, accessTokenLifetimeSec) };
};

const forPerson: Issue = async (parts, oauthClient, form, caller) => {
  const tokenExchange = { subjectToken: subjectTokenOf(form), asked: form.scope, caller };
  const input = await exchangeToken(parts, oauthClient, tokenExchange);
  const token = await signDelegatedToken(input, parts.issuer, parts.signingKeys.current());
  return { access_token: token, issued_token_type: accessTokenType, ...answerOf(input, input.lifetimeSec) };
};

const answerOf = ({ jkt, scopes }: Pick<ClientTokenInput, 'jkt' | 'scopes'>, lifetimeSec: number) => ({
  token_type: jkt === null ? ('Bearer' as const) : ('DPoP' as const),
  expires_in: lifetimeSec,
  ...(scopes.length > 0 && { scope: scopes.join(' ') }),
});
