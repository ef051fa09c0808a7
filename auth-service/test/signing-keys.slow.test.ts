import { databases } from '@countersign/testing';
import { describe, expect, test } from '@jest/globals';
import { createLocalJWKSet, jwtVerify } from 'jose';
import { parseKeyRing } from '../src/domain/keys/key-ring.ts';
import { signToken } from '../src/domain/sessions/access-token.ts';
import { listKeys, openSigningKeys, revokeKey, rotateKeys } from '../src/flows/keys/signing-keys.ts';
import { removeExpired } from '../src/store/upkeep.ts';
import { ring } from './support/people.ts';
import { openProbed, probing } from './support/probed-database.ts';

const keks = parseKeyRing(ring('kek-1', 3));
const parse = (body: string) => JSON.parse(body) as { keys: Record<string, string>[] };

describe.each(databases())('signing keys on %s', (_, database) => {
  const withStore = async (work: (store: Awaited<ReturnType<typeof openProbed>>) => Promise<void>) => {
    const store = await openProbed(database);
    try {
      await work(store);
    } finally {
      await store.close();
    }
  };

  test('ten instances that start together create one key, and publish no private key', () =>
    withStore(async ({ db }) => {
      const instances = await Promise.all(Array.from({ length: 10 }, () => openSigningKeys(db, keks)));
      expect(new Set(instances.map((keys) => keys.current().kid)).size).toBe(1);
      const [published] = instances.map((keys) => parse(keys.published().body));
      expect(published?.keys).toHaveLength(1);
      expect(Object.keys(published?.keys[0] ?? {}).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y']);
    }));

  test.each([
    ['ES256', 'crv kty x y'],
    ['EdDSA', 'crv kty x'],
    ['RS256', 'e kty n'],
  ] as const)('a key signs an RFC 9068 access token with %s', (alg, members) =>
    withStore(async ({ db }) => {
      const keys = await openSigningKeys(db, keks, alg);
      const [published = {}] = parse(keys.published().body).keys;
      expect(Object.keys(published).sort()).toEqual([...members.split(' '), 'alg', 'kid', 'use'].sort());
      const issuedAtSec = Math.floor(Date.now() / 1000);
      const claims = {
        userId: 'u1',
        tenantId: 't1',
        role: 'agent',
        sessionId: 's1',
        clientId: 'first-party',
        issuedAtSec,
        authTimeSec: issuedAtSec - 5,
        amr: ['pwd'],
        jkt: null,
      };
      const issuer = { issuer: 'https://id.example', audience: 'complaints-api' };
      const token = await signToken(claims, issuer, keys.current());
      const keySet = createLocalJWKSet(JSON.parse(keys.published().body));
      const { payload, protectedHeader } = await jwtVerify(token, keySet, { ...issuer, typ: 'at+jwt' });
      expect(protectedHeader).toEqual({ alg, typ: 'at+jwt', kid: keys.current().kid });
      expect(payload).toEqual({
        iss: issuer.issuer,
        aud: issuer.audience,
        sub: 'u1',
        user_id: 'u1',
        tenant_id: 't1',
        role: 'agent',
        sid: 's1',
        client_id: 'first-party',
        jti: expect.any(String),
        iat: issuedAtSec,
        exp: issuedAtSec + 900,
        auth_time: issuedAtSec - 5,
        amr: ['pwd'],
      });
    }),
  );

  test('a new algorithm applies from the next key on, and existing keys keep theirs', () =>
    withStore(async ({ db }) => {
      const before = (await openSigningKeys(db, keks)).current();
      const rsa = { db, keks, alg: 'RS256' } as const;
      expect((await openSigningKeys(db, keks, 'RS256')).current()).toMatchObject({ kid: before.kid, alg: 'ES256' });
      const { kid } = await rotateKeys(rsa, 'r');
      expect((await listKeys(rsa)).map(({ key, state }) => `${key.alg} ${state}`)).toEqual([
        'ES256 active',
        'RS256 pending',
      ]);
      await revokeKey(rsa, before.kid, 'r');
      expect((await openSigningKeys(db, keks)).current()).toMatchObject({ kid, alg: 'RS256' });
    }));

  test('keys cannot be decrypted with a wrong master key: the start fails with a clear message, and no key is created', () =>
    withStore(async ({ db }) => {
      const { kid } = (await openSigningKeys(db, keks)).current();
      const wrong = openSigningKeys(db, parseKeyRing(ring('kek-1', 4)));
      await expect(wrong).rejects.toThrow(/cannot be decrypted: the key "kek-1" in AUTH_SIGNING_KEK/);
      const missing = openSigningKeys(db, parseKeyRing(ring('kek-2', 3)));
      await expect(missing).rejects.toThrow(/master key "kek-1", which AUTH_SIGNING_KEK does not contain/);
      const rotated = await openSigningKeys(db, parseKeyRing(`${ring('kek-2', 5)},${ring('kek-1', 3)}`));
      expect(rotated.current().kid).toBe(kid);
    }));

  test('encrypted keys cannot be swapped for each other in the database', () =>
    withStore(async ({ db }) => {
      await openSigningKeys(db, keks);
      await probing(db, (trx) => trx.updateTable('signing_keys').set({ kid: 'another' }).execute());
      await expect(openSigningKeys(db, keks)).rejects.toThrow(/cannot be decrypted/);
    }));

  test('a key is replaced by a successor that is published while the old key still signs', () =>
    withStore(async ({ db }) => {
      const keys = await openSigningKeys(db, keks);
      const first = keys.current().kid;
      const { etag } = keys.published();
      await probing(db, (trx) =>
        trx
          .updateTable('signing_keys')
          .set({ retire_at: new Date(Date.now() + 3_600_000) })
          .execute(),
      );
      await keys.refresh();
      expect(keys.current().kid).toBe(first);
      expect(parse(keys.published().body).keys).toHaveLength(2);
      expect(keys.published().etag).not.toBe(etag);
      await probing(db, (trx) =>
        trx.updateTable('signing_keys').set({ activate_at: new Date() }).where('kid', '!=', first).execute(),
      );
      await keys.refresh();
      expect(keys.current().kid).not.toBe(first);
      expect(parse(keys.published().body).keys.map(({ kid }) => kid)).toContain(first);
    }));

  test('a key is deleted only when no valid token needs it', () =>
    withStore(async ({ db }) => {
      const first = (await openSigningKeys(db, keks)).current().kid;
      const kids = () =>
        probing(db, async (trx) =>
          (await trx.selectFrom('signing_keys').select('kid').execute()).map(({ kid }) => kid),
        );
      await removeExpired(db);
      expect(await kids()).toEqual([first]);
      const hoursAgo = (hours: number) => new Date(Date.now() - hours * 3_600_000);
      const past = {
        publish_at: hoursAgo(4),
        activate_at: hoursAgo(3),
        retire_at: hoursAgo(2),
        remove_at: hoursAgo(1),
      };
      await probing(db, (trx) => trx.updateTable('signing_keys').set(past).execute());
      await removeExpired(db);
      expect(await kids()).toEqual([]);
    }));
});
