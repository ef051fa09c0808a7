import type { FormatError } from '@countersign/process-kit';
import { namedObject } from '@countersign/service-kit';
import type { Request } from 'express';
import { z } from 'zod';
import { readClientCredentials } from '../../domain/clients/client-authentication.ts';
import {
  accessTokenType,
  authorizationPath,
  delegationTokenType,
  grantTypes,
  tokenExchangeGrant,
  tokenPath,
} from '../../domain/clients/client-rules.ts';
import type { TokenIssuer } from '../../domain/sessions/access-token.ts';
import { AppError, type ErrorCode } from '../../errors.ts';
import { authenticateOAuthClient, exchangeToken, issueClientToken } from '../../flows/clients/issue-token.ts';
import { callerOf, route } from '../route.ts';
import { issueToken } from '../sessions/token-answer.ts';

/** The error body that OAuth libraries read (RFC 6749 section 5.2). */
const oauthError = z
  .object({ error: z.string(), error_description: z.string() })
  .meta({ id: 'OAuthError', description: 'RFC 6749 section 5.2.' });

/** OAuth names for our error codes, where they differ. */
const standardNames: Readonly<Partial<Record<ErrorCode, string>>> = {
  target_not_offered: 'invalid_target',
  payload_too_large: 'invalid_request',
  unsupported_media_type: 'invalid_request',
  too_many_attempts: 'temporarily_unavailable',
};

/**
 * Formats the caller's errors at the OAuth endpoints. A 401 has a Basic challenge only if the body has no credentials.
 * Some libraries ignore the body after a challenge, and RFC 6749 section 5.2 requires a challenge only if the request
 * had an `Authorization` header.
 */
export const formatOAuthError: FormatError = ({ code, errors }, { status, title, fault }, req) => {
  if (fault !== 'caller') return undefined;
  if (req.path !== tokenPath && req.path !== authorizationPath) return undefined;
  const error = standardNames[code as ErrorCode] ?? code;
  const description = errors?.map(({ message }) => message).join(' ') ?? title;
  const body: z.infer<typeof oauthError> = { error, error_description: description };
  const isChallenge = status === 401 && !hasCredentials(req.body);
  return { body, ...(isChallenge && { headers: { 'www-authenticate': 'Basic realm="token endpoint"' } }) };
};

const hasCredentials = (body: unknown): boolean =>
  typeof body === 'object' && body !== null && ('client_secret' in body || 'client_assertion' in body);

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

const tokenForm = z.object({
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

type TokenForm = z.infer<typeof tokenForm>;

/** @throws AppError `invalid_request`, `unsupported_grant_type`. */
function readForm(req: Request): TokenForm {
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

/** @throws AppError `invalid_request` unless the form has a delegation token: a user's access token is not a consent. */
function subjectTokenOf(form: TokenForm): string {
  const { subject_token, subject_token_type, requested_token_type = accessTokenType, actor_token } = form;
  if (subject_token === undefined || subject_token_type !== delegationTokenType)
    throw invalidRequest(`A subject_token of type ${delegationTokenType} is required.`);
  if (requested_token_type !== accessTokenType) throw invalidRequest('Only access tokens are issued.');
  if (actor_token !== undefined)
    throw invalidRequest('actor_token is not supported: the authenticated OAuth client is the actor.');
  return subject_token;
}

/** All tokens have one audience, so no other can be requested. @throws AppError `target_not_offered`. */
function assertOwnAudience({ audience, resource }: TokenForm, issuer: TokenIssuer): void {
  const { origin } = new URL(issuer.issuer);
  const isOurs = (url: string) => URL.canParse(url) && new URL(url).origin === origin;
  if (audience.every((name) => name === issuer.audience) && resource.every(isOurs)) return;
  throw new AppError('target_not_offered');
}

const invalidRequest = (message: string) => new AppError('invalid_request', { errors: [{ path: 'body', message }] });

const clientToken = namedObject('ClientToken', {
  access_token: z.string(),
  issued_token_type: z.literal(accessTokenType).optional().describe('Present only in a token exchange response.'),
  token_type: z.enum(['Bearer', 'DPoP']),
  expires_in: z.int().describe('Seconds until the access token expires.'),
  scope: z.string().optional().describe('Space-separated scopes. Absent if the token has none.'),
});

export const tokenRoutes = [
  route(`POST ${tokenPath}`, {
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
    const credentials = readClientCredentials(req.headers.authorization, form);
    const oauthClient = await authenticateOAuthClient(parts, credentials, caller.ip);
    assertOwnAudience(form, parts.issuer);
    const isExchange = form.grant_type === tokenExchangeGrant;
    const request = { asked: form.scope, caller };
    const input = isExchange
      ? await exchangeToken(parts, oauthClient, { ...request, subjectToken: subjectTokenOf(form) })
      : await issueClientToken(parts, oauthClient, request);
    reply(200, {
      ...(await issueToken(input, parts)),
      ...(isExchange && { issued_token_type: accessTokenType }),
      ...(input.scopes.length > 0 && { scope: input.scopes.join(' ') }),
    });
  }),

  // Refuses every request, and never redirects: no redirect URI is registered (RFC 6749 section 4.1.2.1).
  route(`GET ${authorizationPath}`, {
    operationId: 'authorize',
    tag: 'Clients',
    summary: 'Authorization endpoint (always refuses)',
    description:
      'OAuth clients get tokens at the token endpoint. This endpoint exists because some OAuth libraries require it in the metadata.',
    callers: ['anonymous'],
    query: z.looseObject({}), // RFC 6749 section 3.1
    responses: {},
    errors: ['unsupported_response_type'],
    errorBody: oauthError,
  }).handle(async () => {
    throw new AppError('unsupported_response_type');
  }),
];
