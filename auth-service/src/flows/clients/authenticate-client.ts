import { type VerifiedAssertion, verifyAssertion } from '../../domain/clients/client-assertion.ts';
import type { ClientCredentials } from '../../domain/clients/client-credentials.ts';
import { isClientId } from '../../domain/clients/client-rules.ts';
import { matchSecret } from '../../domain/clients/client-secret.ts';
import { assertionAudiences } from '../../domain/clients/token-endpoint.ts';
import { AppError } from '../../errors.ts';
import { readCurrentHashes, useAssertion } from '../../store/clients/client-credentials.ts';
import { type Client, findCurrentClient } from '../../store/clients/clients.ts';
import { databaseNow } from '../../store/clock.ts';
import type { AuthDatabase } from '../../store/database.ts';
import { roles } from '../../store/roles.ts';
import { becomeClient } from '../../store/scope.ts';
import { judge, type Throttle } from '../sessions/throttle.ts';

export type AuthenticateParts = Readonly<{
  db: AuthDatabase;
  throttle: Throttle;
  issuer: Readonly<{ issuer: string }>;
}>;

/** A client that has authenticated. Its state is read again, under a lock, before a token is issued. */
export type AuthenticatedClient = Readonly<{
  tenantId: string;
  clientId: string;
  method: ClientCredentials['method'];
  /** How it authenticated: with a secret, or with one of its keys. */
  proof: Readonly<{ secretId: string } | { keyThumbprint: string }>;
}>;

/**
 * Authenticates a client (RFC 6749 section 2.3.1, RFC 7523 section 3). Every cause has the same error, except that a
 * caller with the client's key learns what is wrong with its assertion.
 *
 * @throws AppError `invalid_client`, `too_many_attempts`.
 */
export async function authenticateClient(
  parts: AuthenticateParts,
  credentials: ClientCredentials,
  ip: string | null,
): Promise<AuthenticatedClient> {
  const reservation = await parts.throttle.reserveClient(credentials.clientId, ip);
  return judge(reservation, async () => {
    const found = isClientId(credentials.clientId) ? await readClient(parts.db, credentials.clientId) : undefined;
    if (found === undefined) throw new AppError('invalid_client');
    const { client } = found;
    const authenticated = { tenantId: client.tenantId, clientId: client.id, method: credentials.method };
    if (credentials.method === 'private_key_jwt') {
      const { keyThumbprint } = await checkAssertion(parts, credentials.assertion, found);
      return { ...authenticated, proof: { keyThumbprint } };
    }
    const secret = matchSecret(credentials.secret, found.secrets);
    if (secret === undefined) throw new AppError('invalid_client');
    return { ...authenticated, proof: { secretId: secret.id } };
  });
}

type Found = Readonly<{ client: Client; secrets: readonly Readonly<{ id: string; hash: Buffer }>[]; now: Date }>;

function readClient(db: AuthDatabase, clientId: string): Promise<Found | undefined> {
  return db.transaction({ role: roles.clients }, async (trx) => {
    await becomeClient(trx, clientId);
    const client = await findCurrentClient(trx);
    return client && { client, secrets: await readCurrentHashes(trx), now: await databaseNow(trx) };
  });
}

async function checkAssertion(
  { db, issuer: { issuer } }: AuthenticateParts,
  assertion: string,
  { client, now }: Found,
): Promise<VerifiedAssertion> {
  if (client.keys === undefined) throw new AppError('invalid_client');
  const audiences = assertionAudiences(issuer);
  const verified = await verifyAssertion(assertion, client.keys, { clientId: client.id, audiences, now });
  if ('refused' in verified) throw refusal(verified.refused);
  if (!(await isFirstUse(db, client, verified))) throw refusal('The assertion was already used: jti.');
  return verified;
}

/** Committed immediately: an assertion is used up even if the request fails. */
function isFirstUse(
  db: AuthDatabase,
  { id: clientId, tenantId }: Client,
  assertion: VerifiedAssertion,
): Promise<boolean> {
  return db.transaction({ role: roles.clients }, async (trx) => {
    await becomeClient(trx, clientId);
    return useAssertion(trx, assertion, { tenantId, clientId });
  });
}

const refusal = (message: string) =>
  new AppError('invalid_client', { errors: [{ path: 'client_assertion', message }] });
