import { openDatabase } from '@countersign/database';
import { databases, silentLogger, type ThrowAway } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { RunningService } from '../src/service.ts';
import type { AuthSchema } from '../src/store/schema.ts';
import { databaseCable } from './support/database-cable.ts';
import { gatewayItself, type TestGateway, testGateway } from './support/gateway.ts';
import { makePerson, makeTenant, type Person, password, type Tenant, testPasswords } from './support/people.ts';
import { openAgain, openProbed, probedDatabase, probing } from './support/probed-database.ts';
import { startService } from './support/service.ts';

const servers = databases().filter(([kind]) => kind === 'postgres');

// Two processes can only share a server: PGlite allows one process.
if (servers.length > 0) {
  describe.each(servers)('two instances on one %s', (_, database) => {
    let store: ThrowAway<AuthSchema>;
    let gateway: TestGateway;
    let one: RunningService;
    let two: RunningService;
    let tenant: Tenant;
    let ann: Person;
    beforeAll(async () => {
      store = await openProbed(database);
      gateway = await testGateway();
      [one, two] = await Promise.all([
        startService(await openAgain(store), gateway, silentLogger()),
        startService(await openAgain(store), gateway, silentLogger()),
      ]);
      tenant = await makeTenant(store.db, 'acme');
      ann = await makePerson(store.db, await testPasswords(), [tenant]);
    });
    afterAll(async () => {
      await Promise.all([one.stop(), two.stop()]);
      await gateway.close();
      await store.close();
    });

    const login = async (port = one.port) =>
      (await gateway.call(port, 'POST', '/v1/auth/login', { body: { email: ann.email, password } })).body;

    test('two instances rotate a token family once for 50 concurrent refreshes, and return the same successor to all', async () => {
      const { refresh_token, session_id } = await login();
      const answers = await Promise.all(
        Array.from({ length: 50 }, (__, index) =>
          gateway.call(index % 2 === 0 ? one.port : two.port, 'POST', '/v1/auth/refresh', { body: { refresh_token } }),
        ),
      );
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
      expect(new Set(answers.map(({ body }) => body.refresh_token)).size).toBe(1);
      const row = await probing(store.db, (trx) =>
        trx.selectFrom('sessions').select('counter').where('id', '=', session_id).executeTakeFirstOrThrow(),
      );
      expect(row.counter).toBe(2);
    });

    test('two instances serve the same key set, and a logout at one is known immediately at the other', async () => {
      const { refresh_token, session_id } = await login();
      const ask = (query: string) =>
        gateway.call(two.port, 'GET', `/internal/revocations${query}`, { as: gatewayItself });
      const { log, cursor } = (await ask('')).body;
      const waiting = ask(`?log=${log}&after=${cursor}&wait=30`).then((answer) => answer);
      await gateway.call(one.port, 'POST', '/v1/auth/logout', { body: { refresh_token } });
      expect((await waiting).body.items).toMatchObject([{ kind: 'session', sid: session_id }]);
      const [a, b] = await Promise.all(
        [one, two].map(({ port }) => fetch(`http://127.0.0.1:${port}/.well-known/jwks.json`)),
      );
      expect(await a?.text()).toBe(await b?.text());
    });

    test('instances that stop respond to waiting requests immediately', async () => {
      const third = await startService(await openAgain(store), gateway, silentLogger());
      const ask = (query: string) =>
        gateway.call(third.port, 'GET', `/internal/revocations${query}`, { as: gatewayItself });
      const { log, cursor } = (await ask('')).body;
      const waiting = ask(`?log=${log}&after=${cursor}&wait=30`).then((answer) => answer);
      const stopped = waiting.then(() => performance.now());
      const startedAt = performance.now();
      // The request must arrive before the listener closes.
      await ask('');
      await third.stop();
      expect((await waiting).status).toBe(200);
      expect((await stopped) - startedAt).toBeLessThan(5_000);
    });

    test('an instance answers 503 when its hash queue is full', async () => {
      const busy = await startService(await openAgain(store), gateway, silentLogger(), {
        AUTH_HASH_CONCURRENCY: '1',
        AUTH_HASH_QUEUE: '1',
        AUTH_BCRYPT_COST: '10',
      });
      const answers = await Promise.all(
        Array.from({ length: 8 }, (__, index) =>
          gateway.call(busy.port, 'POST', '/v1/auth/login', { body: { email: `busy-${index}@acme.test`, password } }),
        ),
      );
      await busy.stop();
      const refused = answers.filter(({ status }) => status === 503);
      expect(refused.length).toBeGreaterThan(0);
      expect(refused[0]?.body.code).toBe('login_busy');
      expect(refused[0]?.headers['retry-after']).toBe('2');
    });

    test('an instance answers a logout with 503, never 204, while the database is unreachable', async () => {
      if (!('serverUrl' in store.location)) throw new Error('a server was expected');
      const cable = await databaseCable(store.location.serverUrl);
      const databaseUrl = `postgres://countersign_auth@127.0.0.1:${cable.port}/${store.name}`;
      const db = await openDatabase<AuthSchema>({ ...probedDatabase, location: { databaseUrl }, name: store.name });
      const cut = await startService(db, gateway, silentLogger());
      const { refresh_token } = await login();
      cable.cut();
      const answer = await gateway.call(cut.port, 'POST', '/v1/auth/logout', { body: { refresh_token } });
      await cut.stop();
      expect([answer.status, answer.body.code]).toEqual([503, 'unavailable']);
    });
  });
}
