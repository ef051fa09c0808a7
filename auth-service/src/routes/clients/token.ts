import { createRouter, serve } from '@countersign/service-kit';
import type { Request, Router } from 'express';
import { z } from 'zod';
import { networkOf } from '../../domain/accounts/network.ts';
import { readClientCredentials } from '../../domain/clients/client-credentials.ts';
import { grantTypes } from '../../domain/clients/client-rules.ts';
import { tokenPath } from '../../domain/clients/token-endpoint.ts';
import { signClientToken, type TokenIssuer } from '../../domain/sessions/access-token.ts';
import { accessTokenLifetimeSec } from '../../domain/sessions/session-rules.ts';
import { AppError } from '../../errors.ts';
import {
  type AuthenticatedClient,
  type AuthenticateParts,
  authenticateClient,
} from '../../flows/clients/authenticate-client.ts';
import { type IssueParts, issueClientToken } from '../../flows/clients/issue-client-token.ts';
import type { Caller } from '../../flows/sessions/grant.ts';
import { callerOf } from '../caller.ts';
import { endpoint } from '../endpoint.ts';
import type { TokenSigner } from '../sessions/token-answer.ts';
import { oauthError } from './oauth-error.ts';

/** A parameter without a value counts as absent, and one that comes twice is an error (RFC 6749 section 3.2). */
const parameter = z
  .string()
  .max(16 * 1024)
  .transform((text) => (text === '' ? undefined : text))
  .optional();

/** RFC 8707 section 2 and RFC 8693 section 2.1 allow several. */
const repeatable = z
  .union([z.string(), z.array(z.string())])
  .transform((given) => [given].flat().filter((text) => text !== ''))
  .default([]);

const tokenForm = z.object({
  grant_type: z.enum(grantTypes),
  scope: parameter.describe('Scopes with spaces between. Without it, all that the client may have.'),
  resource: repeatable.describe('RFC 8707. URLs of the same origin as the issuer.'),
  audience: repeatable.describe('The audience of the access tokens; another one is an error.'),
  client_id: parameter,
  client_secret: parameter,
  client_assertion: parameter,
  client_assertion_type: parameter,
});

type TokenForm = z.infer<typeof tokenForm>;

const tokenAnswer = z
  .object({
    access_token: z.string(),
    token_type: z.enum(['Bearer', 'DPoP']),
    expires_in: z.int().describe('Seconds until the access token expires.'),
    scope: z.string().optional().describe('The scopes of the token. Not there for a token without scopes.'),
  })
  .meta({ id: 'ClientToken' });

export const issueTokenEndpoint = endpoint({
  method: 'post',
  path: tokenPath,
  operationId: 'issueToken',
  tag: 'Clients',
  summary: 'Get an access token as an OAuth client',
  description:
    'RFC 6749 section 4.4. The client authenticates with `client_secret_basic`, `client_secret_post` or `private_key_jwt` (RFC 7523), ' +
    'one of them in a request. With a DPoP proof the token is bound to its key (RFC 9449). Parameters belong in the body, never in the URL.',
  callers: ['anonymous'],
  upload: { 'application/x-www-form-urlencoded': tokenForm },
  responses: { 200: tokenAnswer },
  errors: [
    'invalid_client',
    'unauthorized_client',
    'unsupported_grant_type',
    'invalid_scope',
    'target_not_offered',
    'too_many_attempts',
  ],
  errorBody: oauthError,
});

export type TokenRouteParts = AuthenticateParts & IssueParts & TokenSigner;

export function tokenRoutes(parts: TokenRouteParts): Router {
  const router = createRouter();
  serve(router, issueTokenEndpoint, async ({ req, res, identity, reply }) => {
    const form = readForm(req);
    const caller = callerOf(req, res, identity);
    const client = await authenticate(parts, req, form, caller);
    assertTarget(form, parts.issuer);
    const facts = await issueClientToken(parts, client, { asked: form.scope, caller });
    const token = await signClientToken(facts, parts.issuer, parts.signingKeys.current());
    res.set('cache-control', 'no-store');
    reply(200, {
      access_token: token,
      token_type: facts.jkt === null ? 'Bearer' : 'DPoP',
      expires_in: accessTokenLifetimeSec,
      ...(facts.scopes.length > 0 && { scope: facts.scopes.join(' ') }),
    });
  });
  return router;
}

/** @throws AppError `invalid_request`, `unsupported_grant_type`. */
function readForm(req: Request): TokenForm {
  // A secret in a URL would reach logs and histories (RFC 6749 section 2.3.1).
  if (req.originalUrl.includes('?')) throw invalidRequest('Parameters belong in the body, not in the URL.');
  const parsed = tokenForm.safeParse({ ...(req.body as object) });
  if (parsed.success) return parsed.data;
  const { grant_type: grantType } = req.body as { grant_type?: unknown };
  const names = [...new Set(parsed.error.issues.map(({ path }) => String(path[0])))];
  if (names.includes('grant_type') && typeof grantType === 'string' && grantType !== '')
    throw new AppError('unsupported_grant_type');
  throw invalidRequest(`These parameters are missing, too long, or there more than once: ${names.join(', ')}.`);
}

function authenticate(
  parts: TokenRouteParts,
  req: Request,
  form: TokenForm,
  { ip }: Caller,
): Promise<AuthenticatedClient> {
  const credentials = readClientCredentials(req.headers.authorization, form);
  if ('error' in credentials) {
    const { error, reason } = credentials;
    throw new AppError(error, { errors: [{ path: 'client_id', message: reason }] });
  }
  return authenticateClient(parts, credentials, networkOf(ip ?? undefined));
}

/** All tokens are for one audience, so another one cannot be had. @throws AppError `target_not_offered`. */
function assertTarget({ audience, resource }: TokenForm, issuer: TokenIssuer): void {
  const { origin } = new URL(issuer.issuer);
  const isOurs = (url: string) => URL.canParse(url) && new URL(url).origin === origin;
  if (!audience.every((name) => name === issuer.audience) || !resource.every(isOurs))
    throw new AppError('target_not_offered');
}

const invalidRequest = (message: string) => new AppError('invalid_request', { errors: [{ path: 'body', message }] });
