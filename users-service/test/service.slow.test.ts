import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  asUser,
  databases,
  dropDatabases,
  eventually,
  people,
  redisServers,
  silentLogger,
  type TestGateway,
  testGateway,
} from '@countersign/testing';
import { describeStart } from '@countersign/testing/service';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import supertest from 'supertest';
import { readUsersConfig } from '../src/config.ts';
import { start } from '../src/service.ts';
import { audience, seed } from './world.ts';

const { agent } = people;
const home = mkdtempSync(join(tmpdir(), 'countersign-users-'));
const seedFile = join(home, 'tenants.json');
let gateway: TestGateway;
beforeAll(async () => {
  writeFileSync(seedFile, JSON.stringify({ password: 'not ours to read', ...seed }));
  gateway = await testGateway();
});
afterAll(async () => {
  await gateway.close();
  rmSync(home, { recursive: true });
});

const environment = (more: Record<string, string | undefined>) => ({
  USERS_PORT: '0',
  LOG_LEVEL: 'silent',
  COUNTERSIGN_HOME: home,
  GATEWAY_KEYS_URL: gateway.keysUrl,
  SEED_FILE: seedFile,
  ...more,
});
const run = (more: Record<string, string | undefined> = {}) =>
  start(readUsersConfig(environment(more)), silentLogger());

/** A service refuses even the gateway until it has loaded the keys and its replay memory has started. */
const me = (port: number, change?: object) =>
  eventually(async () => {
    const method = change === undefined ? 'GET' : 'PATCH';
    const body = change && JSON.stringify(change);
    const typed = body === undefined ? {} : { contentType: 'application/json' };
    const headers = gateway.sign({ method, target: '/v1/users/me', body, claims: asUser(agent), audience, ...typed });
    const asked = supertest(`http://127.0.0.1:${port}`)
      [method === 'GET' ? 'get' : 'patch']('/v1/users/me')
      .set(headers);
    const answer = await (body === undefined ? asked : asked.type('application/json').send(body));
    expect(answer.status).toBe(200);
    return answer.body as Record<string, unknown>;
  });

// The service creates, migrates and seeds a separate database for this test.
const prefix = `users_test_${process.pid}`;
const serverUrl = process.env.DATABASE_URL;
if (serverUrl) afterAll(() => dropDatabases(serverUrl, prefix));

describe.each(databases())('the started service on %s', (kind) => {
  test.each(redisServers())(
    'with %s for replays, seeds its members once, and keeps their changes after a restart',
    async (store, redis) => {
      const where = {
        DATABASE_URL: kind === 'postgres' ? serverUrl : undefined,
        DATABASE_PREFIX: `${prefix}_${store}`,
        COUNTERSIGN_HOME: mkdtempSync(join(home, 'run-')),
        REDIS_URL: redis.url,
      };
      const first = await run(where);
      expect((await me(first.port)).email).toBe('agent@acme.test');
      await me(first.port, { display_name: 'Changed since' });
      await first.stop();
      const second = await run(where);
      expect((await me(second.port)).display_name).toBe('Changed since');
      await second.stop();
    },
  );
});

describeStart({
  name: audience,
  portVariable: 'USERS_PORT',
  home,
  run,
  signed: () => ({
    target: '/v1/users/me',
    headers: gateway.sign({ method: 'GET', target: '/v1/users/me', claims: asUser(agent), audience }),
  }),
});

test('never seeds in production, and requires a database server there', () => {
  const server = { NODE_ENV: 'production', USERS_DATABASE_URL: 'postgres://db.example.test/users' };
  expect(() => readUsersConfig(environment(server))).toThrow(/^SEED_FILE: .*production/);
  expect(readUsersConfig(environment({ ...server, SEED_FILE: '' })).SEED_FILE).toBeUndefined();
  const none = { ...server, SEED_FILE: '', USERS_DATABASE_URL: '', DATABASE_URL: '' };
  expect(() => readUsersConfig(environment(none))).toThrow(/^DATABASE_URL: is required in production, or USERS_/);
});

test.each([
  ['is missing', undefined, /cannot read .*ENOENT/],
  ['is not JSON', '{', /cannot read/],
  ['has no tenants', '{}', /does not have the expected format/],
])('reports in one sentence that the seed file %s', async (_what, content, message) => {
  const path = join(home, 'other.json');
  rmSync(path, { force: true });
  if (content !== undefined) writeFileSync(path, content);
  await expect(run({ SEED_FILE: path })).rejects.toThrow(message);
});
