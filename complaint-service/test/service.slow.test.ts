import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  asUser,
  databases,
  dropDatabases,
  eventually,
  recordingUpstream,
  redisServers,
  silentLogger,
  type TestGateway,
  testGateway,
} from '@countersign/testing';
import { describeStart } from '@countersign/testing/service';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import supertest from 'supertest';
import { readComplaintsConfig } from '../src/config.ts';
import { start } from '../src/service.ts';
import { audience, people } from './world.ts';

const home = mkdtempSync(join(tmpdir(), 'countersign-complaints-'));
const serviceKey = {
  ...generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }),
  kid: 'complaint-service-test',
};
let gateway: TestGateway;
beforeAll(async () => {
  gateway = await testGateway();
});
afterAll(async () => {
  await gateway.close();
  rmSync(home, { recursive: true });
});

const run = (more: Record<string, string | undefined> = {}) => {
  const environment = {
    COMPLAINTS_PORT: '0',
    LOG_LEVEL: 'silent',
    COUNTERSIGN_HOME: home,
    GATEWAY_KEYS_URL: gateway.keysUrl,
    SERVICE_KEY: JSON.stringify(serviceKey),
    ...more,
  };
  return start(readComplaintsConfig(environment), silentLogger());
};

const signed = (method: string, body?: string, target = '/v1/complaints', who = people.complainant) =>
  gateway.sign({
    method,
    target,
    body,
    claims: asUser(who),
    audience,
    ...(body !== undefined && { contentType: 'application/json' }),
  });

/** A service refuses even the gateway until it has loaded the keys and its replay memory has started. */
const titles = (port: number) =>
  eventually(async () => {
    const { status, body } = await supertest(`http://127.0.0.1:${port}`).get('/v1/complaints').set(signed('GET'));
    expect(status).toBe(200);
    return (body.items as { title: string }[]).map(({ title }) => title);
  });

async function file(port: number, title: string): Promise<void> {
  const post = (target: string, who: typeof people.complainant, content: object) => {
    const body = JSON.stringify(content);
    const headers = { ...signed('POST', body, target, who), 'content-type': 'application/json' };
    return supertest(`http://127.0.0.1:${port}`).post(target).set(headers).send(body).expect(201);
  };
  await post('/v1/categories', people.admin, { name: 'light' });
  await post('/v1/complaints', people.complainant, { title, description: 'Dark', category: 'light' });
}

// The service creates and migrates a separate database for this test.
const prefix = `complaints_test_${process.pid}`;
const serverUrl = process.env.DATABASE_URL;
if (serverUrl) afterAll(() => dropDatabases(serverUrl, prefix));

describe.each(databases())('the started service on %s', (kind) => {
  test.each(redisServers())('with %s for replays, keeps its complaints across a restart', async (store, redis) => {
    const where = {
      DATABASE_URL: kind === 'postgres' ? serverUrl : undefined,
      DATABASE_PREFIX: `${prefix}_${store}`,
      COUNTERSIGN_HOME: mkdtempSync(join(home, 'run-')),
      REDIS_URL: redis.url,
    };
    const first = await run(where);
    expect(await titles(first.port)).toEqual([]);
    await file(first.port, 'Lamp broken');
    await first.stop();
    const second = await run(where);
    expect(await titles(second.port)).toEqual(['Lamp broken']);
    await second.stop();
  });
});

describeStart({
  name: audience,
  portVariable: 'COMPLAINTS_PORT',
  home,
  run,
  signed: () => ({ target: '/v1/complaints', headers: signed('GET') }),
});

test('looks up an assignee through the gateway, with its own key and the received txn-token', async () => {
  const internal = await recordingUpstream({
    answer: (_request, res) =>
      void res.setHeader('content-type', 'application/json').end('{"id":"new-agent","role":"agent","status":"active"}'),
  });
  const service = await run({ GATEWAY_INTERNAL_URL: internal.url });
  await titles(service.port);
  await file(service.port, 'Assigned');
  const client = supertest(`http://127.0.0.1:${service.port}`);
  const listed = await client.get('/v1/complaints').set(signed('GET')).expect(200);
  const target = `/v1/complaints/${listed.body.items[0].id}/assign`;
  const assign = (txnToken?: string) => {
    const body = '{"assignee_id":"new-agent"}';
    const claims = asUser(people.agent);
    const headers = gateway.sign({
      method: 'POST',
      target,
      body,
      contentType: 'application/json',
      claims,
      audience,
      txnToken,
    });
    return client
      .post(target)
      .set({ ...headers, 'content-type': 'application/json' })
      .send(body);
  };
  expect((await assign('eyJh.eyJi.c2ln').expect(200)).body.assignee_id).toBe('new-agent');
  const asked = internal.requests.find(({ method }) => method === 'GET');
  expect(asked).toMatchObject({
    method: 'GET',
    target: '/internal/users/new-agent',
    headers: { 'txn-token': 'eyJh.eyJi.c2ln' },
  });
  expect(asked?.headers['signature-input']).toContain(`keyid="${serviceKey.kid}"`);

  const refused = await assign().expect(503);
  expect(refused.body.code).toBe('people_unavailable');
  expect(refused.headers['retry-after']).toBe('2');
  const lookups = internal.requests.filter(({ target: asked }) => asked === '/internal/users/new-agent');
  expect(lookups).toHaveLength(1);
  await service.stop();
  await internal.close();
});

test('requires the webhook key in production, because a lost file would change it', () => {
  const env = {
    NODE_ENV: 'production',
    SERVICE_KEY: JSON.stringify(serviceKey),
    AUTH_SMTP_URL: 'smtps://mail.example.test',
    AUTH_MAIL_FROM: 'a@example.test',
    DATABASE_URL: 'postgres://db.example.test/postgres',
  };
  expect(() => readComplaintsConfig(env)).toThrow(/^COMPLAINTS_WEBHOOK_KEY: is required in production/);
  const file = join(home, 'webhook-key');
  writeFileSync(file, `${'k'.repeat(43)}\n`);
  const { COMPLAINTS_WEBHOOK_KEY } = readComplaintsConfig({ ...env, COMPLAINTS_WEBHOOK_KEY_FILE: file });
  expect(COMPLAINTS_WEBHOOK_KEY).toBe('k'.repeat(43));
});

describe('the service key', () => {
  const keyFile = (mode: number, text = JSON.stringify(serviceKey)) => {
    const path = join(mkdtempSync(join(home, 'key-')), 'key.jwk.json');
    writeFileSync(path, text, { mode });
    return path;
  };
  test('comes from a file that other users cannot read', () => {
    expect(readComplaintsConfig({ SERVICE_KEY_FILE: keyFile(0o600) }).SERVICE_KEY.keyid).toBe(serviceKey.kid);
    const open = keyFile(0o644);
    expect(() => readComplaintsConfig({ SERVICE_KEY_FILE: open })).toThrow(
      `SERVICE_KEY_FILE: ${open}: others may read it (mode 644). Run chmod 600 on it`,
    );
  });

  test.each([
    ['a missing key', {}, 'SERVICE_KEY: is required'],
    ['a key that is not JSON', { SERVICE_KEY: 'secret-text' }, 'must be an ed25519 private JWK with a kid'],
    [
      'a public key',
      { SERVICE_KEY: JSON.stringify({ ...serviceKey, d: undefined }) },
      'must be an ed25519 private JWK',
    ],
  ])('refuses %s without showing its content', (_what, env, problem) => {
    expect(() => readComplaintsConfig(env)).toThrow(problem);
    expect(() => readComplaintsConfig(env)).not.toThrow(/secret-text/);
  });
});
