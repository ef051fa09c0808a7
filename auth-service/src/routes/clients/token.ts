import { z } from 'zod';
import { networkOf } from '../../domain/accounts/network.ts';
import { accessTokenType } from '../../domain/clients/delegation-token.ts';
import { tokenPath } from '../../domain/clients/token-endpoint.ts';
import { type ClientTokenInput, signClientToken, signDelegatedToken } from '../../domain/sessions/access-token.ts';
import { accessTokenLifetimeSec } from '../../domain/sessions/session-rules.ts';
import {
  type AuthenticatedClient,
  type AuthenticateParts,
  authenticateClient,
} from '../../flows/clients/authenticate-client.ts';
import { exchangeToken } from '../../flows/clients/exchange-token.ts';
import { type IssueParts, issueClientToken } from '../../flows/clients/issue-client-token.ts';
import type { Caller } from '../../flows/sessions/grant.ts';
import { callerOf } from '../caller.ts';
import { route } from '../route.ts';
import type { TokenSigner } from '../sessions/token-answer.ts';
import { oauthError } from './oauth-error.ts';
import { assertTarget, credentialsOf, readForm, subjectTokenOf, type TokenForm, tokenForm } from './token-form.ts';

const clientToken = z
  .object({
    access_token: z.string(),
    issued_token_type: z.literal(accessTokenType).optional().describe('After a token exchange.'),
    token_type: z.enum(['Bearer', 'DPoP']),
    expires_in: z.int().describe('Seconds until the access token expires.'),
    scope: z.string().optional().describe('The scopes of the token. Not there for a token without scopes.'),
  })
  .meta({ id: 'ClientToken' });

type ClientToken = z.infer<typeof clientToken>;

export type TokenRouteParts = AuthenticateParts & IssueParts & TokenSigner;

export const tokenRoutes = [
  route({
    method: 'post',
    path: tokenPath,
    operationId: 'issueToken',
    tag: 'Clients',
    summary: 'Get an access token as an OAuth client',
    description:
      'RFC 6749 section 4.4, and token exchange for a person who consented (RFC 8693). The client authenticates with ' +
      '`client_secret_basic`, `client_secret_post` or `private_key_jwt` (RFC 7523), one of them in a request. With a DPoP proof the ' +
      'token is bound to its key (RFC 9449). Parameters belong in the body, never in the URL.',
    callers: ['anonymous'],
    query: z.looseObject({}), // `readForm` refuses it in the words of OAuth.
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
    const client = await authenticateClient(parts, credentialsOf(req, form), networkOf(caller.ip));
    assertTarget(form, parts.issuer);
    const issue = form.grant_type === 'client_credentials' ? forClient : forPerson;
    const token = await issue(parts, client, form, caller);
    reply(200, token);
  }),
];

async function forClient(
  parts: TokenRouteParts,
  client: AuthenticatedClient,
  { scope: asked }: TokenForm,
  caller: Caller,
): Promise<ClientToken> {
  const input = await issueClientToken(parts, client, { asked, caller });
  const token = await signClientToken(input, parts.issuer, parts.signingKeys.current());
  return { access_token: token, ...answerOf(input, accessTokenLifetimeSec) };
}

async function forPerson(
  parts: TokenRouteParts,
  client: AuthenticatedClient,
  form: TokenForm,
  caller: Caller,
): Promise<ClientToken> {
  const exchange = { subjectToken: subjectTokenOf(form), asked: form.scope, caller };
  const input = await exchangeToken(parts, client, exchange);
  const token = await signDelegatedToken(input, parts.issuer, parts.signingKeys.current());
  return { access_token: token, issued_token_type: accessTokenType, ...answerOf(input, input.lifetimeSec) };
}

const answerOf = ({ jkt, scopes }: Pick<ClientTokenInput, 'jkt' | 'scopes'>, lifetimeSec: number) => ({
  token_type: jkt === null ? ('Bearer' as const) : ('DPoP' as const),
  expires_in: lifetimeSec,
  ...(scopes.length > 0 && { scope: scopes.join(' ') }),
});
