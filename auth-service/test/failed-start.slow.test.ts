import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDatabase } from '@countersign/database';
import { databases, dropDatabases, redisServers, startProcess } from '@countersign/testing';
import { afterAll, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { authDatabase } from '../src/store/database.ts';
import type { AuthSchema } from '../src/store/schema.ts';
import { testGateway } from './support/gateway.ts';
import { serviceEnv } from './support/service.ts';

const source = (path: string) => JSON.stringify(new URL(`../src/${path}`, import.meta.url).href);

/** Only reports why the start failed. The process ends once no handle is open. */
const startAlone = `
  import { readAuthConfig } from ${source('config.ts')};
  import { start } from ${source('service.ts')};
  await start(readAuthConfig(process.env)).catch((error) => console.error('failed:', error.message));`;

const serverUrl = process.env.DATABASE_URL;
const prefix = `failed_${process.pid}`;
let made = 0;
if (serverUrl) afterAll(() => dropDatabases(serverUrl, prefix));

describe.each(databases())('a failed start on %s', () => {
  test.each<[string, (home: string) => Record<string, string>, RegExp]>([
    ['its port is in use', () => ({}), /failed: auth-service: 127\.0\.0\.1:\d+ is already in use/],
    [
      'its migration fails',
      () => ({ STATE: 'other tables' }),
      /failed: database \w+: its migration 0001-schema failed/,
    ],
    [
      'its tables have another version',
      () => ({ STATE: 'other migrations' }),
      /failed: (database \w+|data folder \S+): another development version made its tables \(kysely_migration lists 0001-accounts\)/,
    ],
    ['the seed file is missing', (home) => ({ SEED_FILE: join(home, 'none.json') }), /failed: .*none\.json/],
    [
      'the seed file is invalid',
      (home) => {
        writeFileSync(join(home, 'seed.json'), '{');
        return { SEED_FILE: join(home, 'seed.json') };
      },
      /failed: .*seed\.json/,
    ],
  ])('leaves nothing open when %s, so that the process ends', async (_why, prepare, says) => {
    const home = mkdtempSync(join(tmpdir(), 'countersign-auth-failed-'));
    made += 1;
    const own = `${prefix}_${made}`;
    const { STATE, ...env } = prepare(home);
    if (STATE !== undefined) {
      const location = serverUrl ? { serverUrl } : { dataDir: join(home, 'data', 'auth') };
      const migrations = STATE === 'other migrations' ? [{ name: '0001-accounts', statements: [] }] : [];
      const name = `${own}_auth`;
      const db = await openDatabase<AuthSchema>({ ...authDatabase, roles: [], migrations, location, name });
      const role = serverUrl ? authDatabase.login : 'postgres';
      if (STATE === 'other tables') await db.transaction({ role }, (trx) => sql`create table tenants ()`.execute(trx));
      await db.close();
    }
    const gateway = await testGateway();
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const child = startProcess({
      args: ['--input-type=module', '--eval', startAlone],
      env: {
        ...serviceEnv(gateway),
        AUTH_PORT: String((taken.address() as AddressInfo).port),
        AUTH_OPERATOR_SOCKET: join(home, 'run', 'operator.sock'),
        AUTH_SMTP_URL: 'smtp://127.0.0.1:9',
        COUNTERSIGN_HOME: home,
        DATABASE_URL: serverUrl,
        DATABASE_PREFIX: own,
        REDIS_URL: redisServers().at(-1)?.[1].url ?? '',
        ...env,
      },
    });
    // An open handle would keep the process, and this test, running forever.
    const patience = setTimeout(() => void child.stop('SIGKILL'), 60_000);
    try {
      expect(await child.exited).toBe(0);
      expect(child.output()).toMatch(says);
    } finally {
      clearTimeout(patience);
      taken.close();
      await gateway.close();
      rmSync(home, { recursive: true });
    }
  });
});
