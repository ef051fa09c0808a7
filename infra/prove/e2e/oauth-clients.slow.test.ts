import { readFileSync } from 'node:fs';
import { eventually } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { decodeJwt, exportJWK, generateKeyPair } from 'jose';
import * as oauth from 'openid-client';
import { demoClientSecretFile } from '../../run/secrets.ts';
import { type Answer, call, logIn } from '../../stacks/client.ts';
import { describeParts, type Part, startParts } from '../../stacks/parts.ts';
import { makePlace, type Place } from '../../stacks/stack.ts';

const acme = '01936f00-0000-7000-8000-000000000001';
const acmeExport = 'client-01936f00-0000-7000-8000-000000000031';
const acmeAssistant = 'client-01936f00-0000-7000-8000-000000000032';
const clientsOfAcme = `/v1/auth/tenants/${acme}/clients`;

// Tests OAuth clients and agents with an OAuth library, from the first token to the last refusal.
describe('OAuth clients of a tenant', () => {
  let place: Place;
  let gateway: string;
  let started: readonly Part[] = [];

  beforeAll(async () => {
    place = await makePlace({ databaseUrl: undefined, redisUrl: undefined });
    gateway = `http://127.0.0.1:${place.ports.gateway}`;
    started = await startParts(
      describeParts(place, ['gateway', 'auth-service', 'users-service', 'complaint-service', 'web', 'echo']),
    );
  });
  afterAll(async () => {
    await Promise.all(started.map((one) => one.stop()));
    await place.remove();
  });

  const url = (path: string) => `${gateway}${path}`;
  const refusal = ({ status, body }: Answer) => [status, body.code];
  const demoSecret = () => readFileSync(demoClientSecretFile(place.home), 'utf8').trim();

  /** A client that knows the gateway's URL, its id and its credentials, and finds the rest by RFC 8414. */
  const discover = (id: string, authentication: oauth.ClientAuth) =>
    oauth.discovery(new URL(gateway), id, undefined, authentication, {
      algorithm: 'oauth2',
      execute: [oauth.allowInsecureRequests],
    });

  const createClient = async (body: object) => {
    const { token } = await logIn(gateway, 'admin@acme.test');
    const created = await call(url(clientsOfAcme), { token, body });
    expect([created.status, created.text]).toEqual([201, expect.any(String)]);
    const id = String(created.body.client_id);
    const disable = () => call(url(`${clientsOfAcme}/${id}`), { token, method: 'PATCH', body: { status: 'disabled' } });
    return { id, secret: String(created.body.client_secret), disable };
  };

  /** Expects the token to be refused within a second of the answer to `end`. */
  const expectEnded = async (token: string, end: () => Promise<Answer>, status: number) => {
    expect((await call(url('/v1/users'), { token })).status).toBe(200);
    expect((await end()).status).toBe(status);
    const endedAt = performance.now();
    await eventually(async () =>
      expect(refusal(await call(url('/v1/users'), { token }))).toEqual([401, 'token_revoked']),
    );
    expect(performance.now() - endedAt).toBeLessThan(1_000);
  };

  test('an OAuth client gets a token with its secret, reads with its scope, and is refused once disabled', async () => {
    const { id, secret, disable } = await createClient({ name: 'Sync', scopes: ['users.read', 'complaints.read'] });
    const config = await discover(id, oauth.ClientSecretBasic(secret));
    const { access_token: token, scope } = await oauth.clientCredentialsGrant(config, { scope: 'users.read' });
    expect([scope, decodeJwt(token).sub]).toEqual(['users.read', id]);
    const directory = await call(url('/v1/users'), { token });
    const tenants = new Set(directory.body.items?.map((item) => (item as { tenant_id: string }).tenant_id));
    expect([directory.status, [...tenants]]).toEqual([200, [acme]]);
    expect(refusal(await call(url('/v1/users/me'), { token }))).toEqual([403, 'client_not_allowed']);
    expect(refusal(await call(url(clientsOfAcme), { token }))).toEqual([403, 'client_not_allowed']);
    const { access_token: narrow } = await oauth.clientCredentialsGrant(config, { scope: 'complaints.read' });
    expect(refusal(await call(url('/v1/users'), { token: narrow }))).toEqual([403, 'insufficient_scope']);
    const complaints = await call(url('/v1/complaints?limit=2'), { token: narrow });
    expect([complaints.status, complaints.body.items?.length]).toEqual([200, 2]);
    const [{ id: complaint }] = complaints.body.items as [{ id: string }];
    expect((await call(url(`/v1/complaints/${complaint}`), { token: narrow })).body.tenant_id).toBe(acme);
    const comments = await call(url(`/v1/complaints/${complaint}/comments`), { token: narrow });
    expect(refusal(comments)).toEqual([403, 'client_not_allowed']);
    expect(refusal(await call(url('/v1/complaints'), { token }))).toEqual([403, 'insufficient_scope']);
    await expectEnded(token, disable, 200);
    await expect(oauth.clientCredentialsGrant(config)).rejects.toMatchObject({ status: 401 });
  });

  test('an OAuth client authenticates with a key, and gets a token that DPoP binds to another key', async () => {
    const { publicKey, privateKey } = await generateKeyPair('ES256');
    const jwk = { ...(await exportJWK(publicKey)), kid: 'k1' };
    const { id } = await createClient({ name: 'Sync', scopes: ['users.read'], jwks: { keys: [jwk] } });
    const config = await discover(id, oauth.PrivateKeyJwt({ key: privateKey, kid: 'k1' }));
    const DPoP = oauth.getDPoPHandle(config, await oauth.randomDPoPKeyPair('ES256'));
    const { access_token: token, token_type } = await oauth.clientCredentialsGrant(config, undefined, { DPoP });
    expect(token_type).toBe('dpop');
    const users = new URL(url('/v1/users'));
    const bound = await oauth.fetchProtectedResource(config, token, users, 'GET', undefined, undefined, { DPoP });
    expect(bound.status).toBe(200);
    expect(refusal(await call(users.href, { token }))).toEqual([401, 'token_proof_missing']);
  });

  test('a library can read why an OAuth client was refused', async () => {
    const config = await discover(acmeExport, oauth.ClientSecretPost('wrong'));
    await expect(oauth.clientCredentialsGrant(config)).rejects.toMatchObject({ error: 'invalid_client' });
    const known = await discover(acmeExport, oauth.ClientSecretPost(demoSecret()));
    await expect(oauth.clientCredentialsGrant(known, { scope: 'users.write' })).rejects.toMatchObject({
      error: 'invalid_scope',
    });
  });

  test('an agent acts for a user within the consent, until the user logs out', async () => {
    const { token: own } = await logIn(gateway, 'agent@acme.test');
    const consent = { client_id: acmeAssistant, scopes: ['users.read'], expires_in: 600 };
    const { body, status } = await call(url('/v1/auth/delegations'), { token: own, body: consent });
    expect(status).toBe(201);
    const config = await discover(acmeAssistant, oauth.ClientSecretBasic(demoSecret()));
    const exchange = (scope: string) =>
      oauth.genericGrantRequest(config, 'urn:ietf:params:oauth:grant-type:token-exchange', {
        subject_token: String(body.subject_token),
        subject_token_type: String(body.subject_token_type),
        scope,
      });
    await expect(exchange('users.read complaints.read')).rejects.toMatchObject({ error: 'invalid_scope' });
    const { access_token: token, expires_in } = await exchange('users.read');
    expect(expires_in).toBeLessThanOrEqual(600);
    expect(decodeJwt(token)).toMatchObject({
      sub: decodeJwt(own).sub,
      role: 'agent',
      act: { sub: acmeAssistant, iss: gateway },
    });
    expect(refusal(await call(url('/v1/users/me'), { token }))).toEqual([403, 'actor_not_allowed']);
    expect(refusal(await call(url('/v1/auth/delegations'), { token, body: consent }))).toEqual([
      403,
      'actor_not_allowed',
    ]);
    await expectEnded(token, () => call(url('/v1/auth/logout'), { token: own, body: {} }), 204);
    await expect(exchange('users.read')).rejects.toMatchObject({ error: 'invalid_request' });
  });
});
