import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { databases, type ThrowAway } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { v7 as uuidv7 } from 'uuid';
import { seed } from '../src/flows/accounts/seed.ts';
import { authenticateOAuthClient } from '../src/flows/clients/issue-token.ts';
import { type LoginParts, logIn } from '../src/flows/sessions/log-in.ts';
import type { AuthSchema } from '../src/store/schema.ts';
import { caller, codeOf, loginParts } from './support/flows.ts';
import { password } from './support/people.ts';
import { openProbed, probing } from './support/probed-database.ts';

describe.each(databases())('seeding on %s', (_, database) => {
  let store: ThrowAway<AuthSchema>;
  let parts: LoginParts;
  const home = mkdtempSync(join(tmpdir(), 'countersign-seed-'));
  beforeAll(async () => {
    store = await openProbed(database);
    parts = await loginParts(store.db);
  });
  afterAll(async () => {
    rmSync(home, { recursive: true });
    await store.close();
  });

  const member = (role: string, slug: string) => ({
    user_id: uuidv7(),
    email: `${role}@${slug}.test`,
    role,
    display_name: role,
  });
  const tenants = ['acme', 'globex'].map((slug) => ({
    id: uuidv7(),
    slug,
    name: slug,
    members: ['complainant', 'agent', 'admin'].map((role) => member(role, slug)),
  }));
  const clientSecret = `countersign_secret_${'A'.repeat(43)}`;
  const file = (content: string) => {
    const path = join(home, 'tenants.json');
    writeFileSync(path, content);
    return { file: path, clientSecret };
  };
  const attempt = (email: string, secret = password) =>
    codeOf(logIn(parts, { email, password: secret, tenant: undefined, transport: 'body' }, caller));

  test('creates accounts that can log in, and changes nothing when run again', async () => {
    const path = file(JSON.stringify({ password, tenants }));
    await seed(store.db, parts.passwords, path);
    expect(await attempt('admin@globex.test')).toBe('ok');
    const rows = () =>
      probing(store.db, (trx) => trx.selectFrom('credentials').selectAll().orderBy('user_id').execute());
    const before = await rows();
    expect(before).toHaveLength(6);
    await seed(store.db, parts.passwords, path);
    expect(await rows()).toEqual(before);
  });

  test('does not reset a password that was changed', async () => {
    await seed(store.db, parts.passwords, file(JSON.stringify({ password: 'another demo password', tenants })));
    expect(await attempt('agent@acme.test')).toBe('ok');
    expect(await attempt('agent@acme.test', 'another demo password')).toBe('invalid_credentials');
  });

  test('creates OAuth clients with the given secret, adds a changed secret, and creates none without a secret', async () => {
    const oauthClient = { client_id: `client-${uuidv7()}`, name: 'Export', scopes: ['users.read'] };
    const [first = tenants[0]] = tenants;
    const withClient = [{ ...first, clients: [{ ...oauthClient, grant_types: ['client_credentials'] }] }];
    const given = file(JSON.stringify({ password, tenants: withClient }));
    const count = () =>
      probing(store.db, async (trx) => (await trx.selectFrom('client_secrets').select('id').execute()).length);
    await seed(store.db, parts.passwords, { ...given, clientSecret: undefined });
    expect(await count()).toBe(0);
    const caller = { throttle: parts.throttle, db: store.db, issuer: { issuer: 'https://id.example.test' } };
    const use = (secret: string) =>
      codeOf(
        authenticateOAuthClient(
          caller,
          { method: 'client_secret_post', clientId: oauthClient.client_id, secret },
          '192.0.2.1',
        ),
      );
    for (let run = 0; run < 2; run += 1) await seed(store.db, parts.passwords, given);
    expect([await count(), await use(clientSecret)]).toEqual([1, 'ok']);
    const renewed = clientSecret.replaceAll('A', 'B');
    await seed(store.db, parts.passwords, { ...given, clientSecret: renewed });
    expect([await count(), await use(renewed)]).toEqual([2, 'ok']);
  });

  test('reports an invalid file in one sentence', async () => {
    await expect(seed(store.db, parts.passwords, file('{'))).rejects.toThrow(/^SEED_FILE: cannot read .*tenants.json/);
    await expect(seed(store.db, parts.passwords, { file: join(home, 'none.json'), clientSecret })).rejects.toThrow(
      /ENOENT/,
    );
  });
});
