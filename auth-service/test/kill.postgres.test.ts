import { databases, eventually, freePorts, silentLogger, startProcess, type ThrowAway } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import type { RunningService } from '../src/service.ts';
import type { AuthSchema } from '../src/store/schema.ts';
import { holdLock } from '../src/store/transaction.ts';
import { databaseCable } from './support/database-cable.ts';
import { type TestGateway, testGateway } from './support/gateway.ts';
import { makePerson, makeTenant, type Person, password, type Tenant, testPasswords } from './support/people.ts';
import { openAgain, openProbed, probing } from './support/probed-database.ts';
import { serviceEnv, startService } from './support/service.ts';

const servers = databases().filter(([kind]) => kind === 'postgres');
const main = new URL('./support/service-process.ts', import.meta.url).pathname;

/*
 * Kills one process at a chosen moment, and retries the request at another. A locked table, or a database response
 * that never arrives, stops the first process at that moment.
 */
describe.each(servers)('after kill -9, on %s', (_, database) => {
  let store: ThrowAway<AuthSchema>;
  let gateway: TestGateway;
  let survivor: RunningService;
  let tenants: Tenant[];
  beforeAll(async () => {
    store = await openProbed(database);
    gateway = await testGateway();
    survivor = await startService(await openAgain(store), gateway, silentLogger());
    tenants = [await makeTenant(store.db, 'acme'), await makeTenant(store.db, 'globex')];
  });
  afterAll(async () => {
    await survivor.stop();
    await gateway.close();
    await store.close();
  });

  const person = async (of = tenants.slice(0, 1)) => makePerson(store.db, await testPasswords(), of);
  const post = (target: string, body: object, port = survivor.port) => gateway.call(port, 'POST', target, { body });
  const logIn = async (who: Person) => (await post('/v1/auth/login', { email: who.email, password })).body;
  const answered = ({ status }: { status: number }) => `answered ${status}`;
  const unanswered = () => 'no answer';
  const refresh = (refresh_token: unknown) => post('/v1/auth/refresh', { refresh_token });
  const sessionsOf = (who: Person) =>
    probing(store.db, (trx) => trx.selectFrom('sessions').selectAll().where('user_id', '=', who.userId).execute());

  /** Another instance whose database connections pass through a proxy that can be cut. Always killed at the end. */
  async function withVictim(
    work: (victim: { port: number; kill(): Promise<unknown>; loseCommits(): void }) => Promise<void>,
  ): Promise<void> {
    if (!('serverUrl' in store.location)) throw new Error('a server was expected');
    const cable = await databaseCable(store.location.serverUrl);
    const [port = 0] = await freePorts(1);
    const child = startProcess({
      args: [main],
      env: {
        ...serviceEnv(gateway),
        AUTH_PORT: String(port),
        AUTH_DATABASE_URL: `postgres://countersign_auth@127.0.0.1:${cable.port}/${store.name}`,
      },
    });
    try {
      await child.waitFor(/"listening"/);
      await eventually(async () => expect((await fetch(`http://127.0.0.1:${port}/readyz`)).status).toBe(200));
      await work({ port, kill: () => child.stop('SIGKILL'), loseCommits: () => cable.loseCommits() });
    } finally {
      await child.stop('SIGKILL');
      cable.cut();
    }
  }

  /**
   * Locks a table while `work` runs, and notifies `work` when the request waits for the lock. Housekeeping, which begins
   * with each process, would wait for it too, so it is kept from running.
   */
  async function whileLocked(
    table: 'revocations' | 'sessions',
    work: (isWaiting: () => Promise<void>) => Promise<void>,
  ) {
    await probing(store.db, async (trx) => {
      await holdLock(trx, 'upkeep');
      await sql`lock table ${sql.table(table)} in access exclusive mode`.execute(trx);
      await work(() =>
        eventually(async () => {
          const { rows } = await sql`select 1 from pg_locks where not granted and relation = ${table}::regclass
            and database = (select oid from pg_database where datname = current_database())`.execute(trx);
          expect(rows.length).toBeGreaterThan(0);
        }),
      );
    });
  }

  test('the refresh token still works once if the process dies before the commit', async () => {
    const who = await person();
    const { refresh_token } = await logIn(who);
    await withVictim(async ({ port, kill }) => {
      await whileLocked('revocations', async (isWaiting) => {
        const lost = post('/v1/auth/refresh', { refresh_token }, port).then(answered, unanswered);
        await isWaiting();
        await kill();
        expect(await lost).toBe('no answer');
      });
    });
    // The server has noticed the killed connection and released its locks.
    const again = await eventually(async () => {
      const answer = await refresh(refresh_token);
      expect(answer.status).toBe(200);
      return answer;
    });
    expect(await sessionsOf(who)).toMatchObject([{ counter: 2, revoked_at: null }]);
    expect((await refresh(again.body.refresh_token)).status).toBe(200);
  });

  test('a retry gets the lost token if the process dies between the commit and the response', async () => {
    const who = await person();
    const { refresh_token } = await logIn(who);
    await withVictim(async ({ port, kill, loseCommits }) => {
      loseCommits();
      const lost = post('/v1/auth/refresh', { refresh_token }, port).then(answered, unanswered);
      await eventually(async () => expect(await sessionsOf(who)).toMatchObject([{ counter: 2 }]));
      await kill();
      expect(await lost).toBe('no answer');
    });
    const [one, two] = await Promise.all([refresh(refresh_token), refresh(refresh_token)]);
    expect([one.status, two.status]).toEqual([200, 200]);
    expect(one.body.refresh_token).toBe(two.body.refresh_token);
    expect((await refresh(one.body.refresh_token)).status).toBe(200);
    // The chain never forked: the earlier token is refused.
    expect((await refresh(refresh_token)).body.code).toBe('refresh_token_reused');
    expect(await sessionsOf(who)).toMatchObject([{ counter: 3, revoked_reason: 'reuse' }]);
  });

  test('the user has to log in again if the process dies between using a login step and starting the session', async () => {
    const who = await person(tenants);
    const { selection_token } = await logIn(who);
    const choice = { selection_token, tenant_id: tenants[0]?.id };
    await withVictim(async ({ port, kill }) => {
      await whileLocked('sessions', async (isWaiting) => {
        const lost = post('/v1/auth/login/tenant', choice, port).then(answered, unanswered);
        await isWaiting();
        await kill();
        expect(await lost).toBe('no answer');
      });
    });
    expect((await post('/v1/auth/login/tenant', choice)).body.code).toBe('invalid_selection_token');
    expect(await sessionsOf(who)).toEqual([]);
    expect((await logIn(who)).selection_token).toEqual(expect.any(String));
  });
});
