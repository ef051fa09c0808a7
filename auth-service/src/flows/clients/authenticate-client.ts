import { type VerifiedAssertion, verifyAssertion } from '../../domain/clients/client-assertion.ts';
import type { ClientCredentials } from '../../domain/clients/client-credentials.ts';
import { isClientId } from '../../domain/clients/client-rules.ts';
import { matchSecret } from '../../domain/clients/client-secret.ts';
import { assertionAudiences } from '../../domain/clients/token-endpoint.ts';
import { AppError } from '../../errors.ts';
import { readCurrentHashes, useAssertion } from '../../store/clients/client-credentials.ts';
import { findCurrentOAuthClient, type OAuthClient } from '../../store/clients/clients.ts';
import { databaseNow } from '../../store/clock.ts';
import type { AuthDatabase } from '../../store/database.ts';
import { roles } from '../../store/roles.ts';
import { becomeOAuthClient } from '../../store/scope.ts';
import { judge, type Throttle } from '../sessions/throttle.ts';

export type AuthenticateParts = Readonly<{
  db: AuthDatabase;
  throttle: Throttle;
  issuer: Readonly<{ issuer: string }>;
}>;

/** An OAuth client after authentication. Its row is read again, under a lock, before a token is issued. */
export type AuthenticatedOAuthClient = Readonly<{
  tenantId: string;
  clientId: string;
  method: ClientCredentials['method'];
  /** The secret or key that authenticated it. */
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
  const reservation = await parts.throttle.reserveOAuthClient(credentials.clientId, ip);
  return judge(reservation, async () => {
    const found = isClientId(credentials.clientId) ? await readOAuthClient(parts.db, credentials.clientId) : undefined;
    if (found === undefined) throw new AppError('invalid_client');
    const { oauthClient } = found;
    const authenticated = { tenantId: oauthClient.tenant_id, clientId: oauthClient.id, method: credentials.method };
    if (credentials.method === 'private_key_jwt') {
      const { keyThumbprint } = await checkAssertion(parts, credentials.assertion, found);
      return { ...authenticated, proof: { keyThumbprint } };
    }
    const secret = matchSecret(credentials.secret, found.secrets);
    if (secret === undefined) throw new AppError('invalid_client');
    return { ...authenticated, proof: { secretId: secret.id } };
  });
}

type Found = Readonly<{
  oauthClient: OAuthClient;
  secrets: readonly Readonly<{ id: string; hash: Buffer }>[];
  now: Date;
}>;

function readOAuthClient(db: AuthDatabase, clientId: string): Promise<Found | undefined> {
  return db.transaction({ role: roles.clients }, async (trx) => {
    await becomeOAuthClient(trx, clientId);
    const oauthClient = await findCurrentOAuthClient(trx);
    return oauthClient && { oauthClient, secrets: await readCurrentHashes(trx), now: await databaseNow(trx) };
  });
}

async function checkAssertion(
  { db, issuer: { issuer } }: AuthenticateParts,
  assertion: string,
  { oauthClient, now }: Found,
): Promise<VerifiedAssertion> {
  const { id: clientId, tenant_id: tenantId, jwks } = oauthClient;
  if (jwks === null) throw new AppError('invalid_client');
  const verified = await verifyAssertion(assertion, jwks, { clientId, audiences: assertionAudiences(issuer), now });
  if ('refused' in verified) throw refusal(verified.refused);
  // Commits immediately, so that an assertion is used up even if the request fails.
  const isFirstUse = await db.transaction({ role: roles.clients }, async (trx) => {
    await becomeOAuthClient(trx, clientId);
    return useAssertion(trx, verified, { tenantId, clientId });
  });
  if (!isFirstUse) throw refusal('The assertion was already used: jti.');
  return verified;
}

const refusal = (message: string) =>
  new AppError('invalid_client', { errors: [{ path: 'client_assertion', message }] });
