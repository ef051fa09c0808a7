import {
  type ClientCredentials,
  hasKey,
  refusedAssertion,
  type VerifiedAssertion,
  verifyAssertion,
} from '../../domain/clients/client-authentication.ts';
import {
  assertionAudiences,
  chooseScopes,
  type GrantType,
  isClientId,
  tokenExchangeGrant,
} from '../../domain/clients/client-rules.ts';
import { hashSecret, matchSecret } from '../../domain/clients/client-secret.ts';
import type { ClientTokenInput, DelegatedTokenInput } from '../../domain/sessions/access-token.ts';
import { accessTokenLifetimeSec } from '../../domain/sessions/session-rules.ts';
import { AppError } from '../../errors.ts';
import { holdActive, lockHolder } from '../../store/accounts/accounts.ts';
import { appendAudit } from '../../store/audit/audit.ts';
import * as store from '../../store/clients/clients.ts';
import { type Delegation, findDelegation, holdDelegation } from '../../store/clients/delegations.ts';
import { issueTimeSec } from '../../store/sessions/revocations.ts';
import { holdSession } from '../../store/sessions/sessions.ts';
import {
  type AuthDatabase,
  becomeOAuthClient,
  becomeUser,
  databaseNow,
  roles,
  type Trx,
} from '../../store/transaction.ts';
import { type HttpCaller, judge, type Throttle } from '../sessions/throttle.ts';

type AuthenticateParts = Readonly<{
  db: AuthDatabase;
  throttle: Throttle;
  issuer: Readonly<{ issuer: string }>;
}>;

/** An OAuth client after authentication. Its row is read again, under a lock, before a token is issued. */
export type AuthenticatedOAuthClient = Readonly<{
  tenantId: string;
  clientId: string;
  method: ClientCredentials['method'];
  proof: Readonly<{ secretId: string } | { keyThumbprint: string }>;
}>;

/**
 * Authenticates an OAuth client (RFC 6749 section 2.3.1, RFC 7523 section 3). All failures have the same error, but a
 * refused assertion also has details.
 *
 * @throws AppError `invalid_client`, `too_many_attempts`.
 */
export async function authenticateOAuthClient(
  parts: AuthenticateParts,
  credentials: ClientCredentials,
  ip: string | null,
): Promise<AuthenticatedOAuthClient> {
  const { clientId } = credentials;
  return judge(await parts.throttle.reserveOAuthClient(clientId, ip), async () => {
    const found = isClientId(clientId) ? await readOAuthClient(parts.db, clientId) : undefined;
    if (found === undefined) throw new AppError('invalid_client');
    const authenticated = { tenantId: found.oauthClient.tenant_id, clientId, method: credentials.method };
    if (credentials.method === 'private_key_jwt') {
      const { keyThumbprint } = await checkAssertion(parts, credentials.assertion, found);
      return { ...authenticated, proof: { keyThumbprint } };
    }
    const secret = matchSecret(credentials.secret, found.secrets);
    if (secret === undefined) throw new AppError('invalid_client');
    return { ...authenticated, proof: { secretId: secret.id } };
  });
}

type Found = NonNullable<Awaited<ReturnType<typeof readOAuthClient>>>;

const readOAuthClient = (db: AuthDatabase, clientId: string) =>
  db.transaction({ role: roles.clients }, async (trx) => {
    await becomeOAuthClient(trx, clientId);
    const oauthClient = await store.findCurrentOAuthClient(trx);
    return oauthClient && { oauthClient, secrets: await store.readCurrentHashes(trx), now: await databaseNow(trx) };
  });

async function checkAssertion(
  { db, issuer: { issuer } }: AuthenticateParts,
  assertion: string,
  { oauthClient, now }: Found,
): Promise<VerifiedAssertion> {
  const { id: clientId, tenant_id: tenantId, jwks } = oauthClient;
  if (jwks === null) throw new AppError('invalid_client');
  const verified = await verifyAssertion(assertion, jwks, { clientId, audiences: assertionAudiences(issuer), now });
  // Commits immediately, so that an assertion is used up even if the request fails.
  const isFirstUse = await db.transaction({ role: roles.clients }, async (trx) => {
    await becomeOAuthClient(trx, clientId);
    return store.useAssertion(trx, verified, { tenantId, clientId });
  });
  if (!isFirstUse) throw refusedAssertion('The assertion was already used: jti.');
  return verified;
}

export type IssueParts = Readonly<{
  db: AuthDatabase;
  /** The scopes that this installation defines (AUTH_SCOPES). */
  scopes: readonly string[];
}>;

/**
 * Returns the claims of a token for an OAuth client that acts on its own behalf (RFC 6749 section 4.4).
 *
 * @param asked The `scope` parameter. If undefined, the token has all scopes of the OAuth client.
 * @throws AppError `invalid_client`, `unauthorized_client`, `invalid_scope`.
 */
export function issueClientToken(
  { db, scopes: known }: IssueParts,
  authenticated: AuthenticatedOAuthClient,
  { asked, caller }: Readonly<{ asked: string | undefined; caller: HttpCaller }>,
): Promise<ClientTokenInput> {
  const { tenantId, clientId, method } = authenticated;
  return db.transaction({ role: roles.app, tenantId }, async (trx) => {
    if (!(await holdActive(trx, 'tenants', tenantId))) throw new AppError('invalid_client');
    const oauthClient = await holdUsableOAuthClient(trx, authenticated, 'client_credentials');
    const allowed = oauthClient.scopes.filter((scope) => known.includes(scope));
    const scopes = chooseScopes(asked, allowed);
    if (scopes === undefined) throw new AppError('invalid_scope');
    const issuedAtSec = await issueTimeSec(trx, { tenantId, clientId });
    const detail = { client_id: clientId, method, scopes, ip: caller.ip };
    await appendAudit(trx, { tenantId, action: 'client.token_issued', requestId: caller.requestId, detail });
    return { tenantId, clientId, scopes, issuedAtSec, jkt: caller.jkt };
  });
}

/**
 * Locks an OAuth client FOR SHARE and records its use. Checks again that it is active and still has the secret or key
 * that authenticated it.
 *
 * @throws AppError `invalid_client`, `unauthorized_client`.
 */
async function holdUsableOAuthClient(
  trx: Trx,
  { tenantId, clientId, proof }: AuthenticatedOAuthClient,
  grantType: GrantType,
): Promise<store.OAuthClient> {
  await store.markUsed(trx, 'clients', { tenant_id: tenantId, id: clientId });
  const oauthClient = await store.holdOAuthClient(trx, tenantId, clientId);
  if (oauthClient === undefined || oauthClient.status !== 'active') throw new AppError('invalid_client');
  const holds =
    'secretId' in proof
      ? store.useSecret(trx, { tenantId, clientId }, proof.secretId)
      : hasKey(oauthClient.jwks, proof.keyThumbprint);
  if (!(await holds)) throw new AppError('invalid_client');
  if (!oauthClient.grant_types.includes(grantType)) throw new AppError('unauthorized_client');
  return oauthClient;
}

/**
 * Exchanges a delegation's subject token for an access token that lets the OAuth client act for the user (RFC 8693).
 * The access token has the user's current role and only delegated scopes. It expires no later than the delegation.
 *
 * @throws AppError `invalid_request` for an invalid subject token (RFC 8693 section 2.2.2), `invalid_client`,
 *   `unauthorized_client`, `invalid_scope`.
 */
export function exchangeToken(
  { db, scopes: known }: IssueParts,
  authenticated: AuthenticatedOAuthClient,
  { subjectToken, asked, caller }: Readonly<{ subjectToken: string; asked: string | undefined; caller: HttpCaller }>,
): Promise<DelegatedTokenInput> {
  const { tenantId, clientId } = authenticated;
  return db.transaction({ role: roles.app, tenantId }, async (trx) => {
    const delegation = await findDelegation(trx, authenticated, hashSecret(subjectToken));
    if (delegation === undefined) throw invalidSubject();
    const holder = await holdPerson(trx, delegation);
    const oauthClient = await holdUsableOAuthClient(trx, authenticated, tokenExchangeGrant);
    const held = await holdDelegation(trx, delegation);
    if (held === undefined) throw invalidSubject();
    const allowed = delegation.scopes.filter((scope) => known.includes(scope) && oauthClient.scopes.includes(scope));
    const scopes = chooseScopes(asked, allowed);
    if (scopes === undefined || scopes.length === 0) throw new AppError('invalid_scope');
    const { user_id: userId, id: sessionId } = delegation;
    const issuedAtSec = await issueTimeSec(trx, { tenantId, userId, clientId });
    const lifetimeSec = Math.min(accessTokenLifetimeSec, held.expiresAtSec - issuedAtSec);
    if (lifetimeSec <= 0) throw invalidSubject();
    const event = { tenantId, userId, sessionId: delegation.session_id, requestId: caller.requestId };
    const detail = { delegation_id: sessionId, client_id: clientId, scopes, ip: caller.ip };
    await appendAudit(trx, { ...event, action: 'delegation.used', detail });
    return { ...holder, tenantId, userId, clientId, sessionId, scopes, issuedAtSec, lifetimeSec, jkt: caller.jkt };
  });
}

/** Locks the person, their membership and their session, in this order. */
async function holdPerson(trx: Trx, delegation: Delegation) {
  const { tenant_id: tenantId, user_id: userId, session_id: sessionId } = delegation;
  await becomeUser(trx, userId);
  const holder = await lockHolder(trx, userId, tenantId);
  const session = await holdSession(trx, { tenantId, sessionId }, userId);
  if (holder?.active !== true || session === undefined) throw invalidSubject();
  return { role: holder.role, authTimeSec: Math.floor(session.authTime.getTime() / 1000), amr: session.amr };
}

const invalidSubject = () =>
  new AppError('invalid_request', {
    errors: [{ path: 'subject_token', message: 'The subject token is invalid, has expired, or was withdrawn.' }],
  });
