import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  agreeAsGateway,
  agreementKeyFromJwk,
  agreementKeysIn,
  newAgreementJwk,
  newNonce,
  newRequestId,
  prepareIdentity,
  publicAgreementJwk,
  signRequest,
} from '@countersign/identity';
import { requireIdentity, userOf } from '@countersign/identity/express';
import {
  ConfigError,
  commonErrors,
  createHealth,
  createMetrics,
  createRouter,
  readConfig,
} from '@countersign/process-kit';
import { capturingLogger } from '@countersign/testing';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import supertest from 'supertest';
import { z } from 'zod';
import { commonConfig, createServiceApp, trustGateway } from '../src/index.ts';

const schema = z.object(commonConfig);
const gateway = agreementKeyFromJwk(newAgreementJwk());
const stops: (() => void)[] = [];
let home: string;
let keysUrl: string;
beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'countersign-kit-'));
  // A set whose keys sign nothing is empty.
  const signing = {
    ...generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }),
    kid: 'gateway-1',
    alg: 'EdDSA',
    use: 'sig',
  };
  const set = JSON.stringify({ keys: [signing, publicAgreementJwk(gateway)] });
  const server = createServer((_req, res) => void res.end(set)).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  stops.push(() => server.close());
  keysUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
  rmSync(home, { recursive: true });
});

async function service(env: Record<string, string>, redis?: Redis) {
  const log = capturingLogger();
  const metrics = createMetrics();
  const config = readConfig(schema, { GATEWAY_KEYS_URL: keysUrl, ...env });
  const trust = trustGateway({ audience: 'my-service', config, redis, logger: log.logger, metrics });
  stops.push(() => trust.stop());
  await trust.start();
  const routes = createRouter();
  routes.get('/me', requireIdentity(), (req, res) => void res.json({ id: userOf(req).userId }));
  const own = createRouter();
  own.get('/.well-known/jwks.json', (_req, res) => void res.json({ keys: [{ kty: 'EC', kid: 'own' }] }));
  const app = createServiceApp({
    logger: log.logger,
    health: createHealth(trust.checks),
    metrics,
    errors: commonErrors,
    publishKeys: trust.publishKeys,
    open: own,
    identity: trust.handler,
    routes,
  });
  return { app, log };
}

async function askAgreed({ app }: Awaited<ReturnType<typeof service>>) {
  const { body } = await supertest(app).get('/.well-known/jwks.json').expect(200);
  const [published] = agreementKeysIn(body) ?? [];
  if (published === undefined) throw new Error('it publishes no key');
  const headers = signRequest(
    { algorithm: 'hmac-sha256', ...agreeAsGateway(gateway, { audience: 'my-service', key: published }) },
    prepareIdentity({ kind: 'user', userId: 'u1', role: 'agent', tenantId: 't1' }, 'my-service'),
    { method: 'GET', path: '/me', query: '', requestId: newRequestId() },
    // One second ahead, because the replay memory begins with the next whole second.
    { createdSec: Math.floor(Date.now() / 1000) + 1, lifetimeSec: 30, nonce: newNonce() },
  );
  return supertest(app).get('/me').set(Object.fromEntries(headers));
}

test('AGREEMENT_KEYS names a directory where the service creates keys, which its key set also contains', async () => {
  const one = await service({ AGREEMENT_KEYS: join(home, 'keys') });
  expect((await askAgreed(one)).body).toEqual({ id: 'u1' });
  expect(readdirSync(join(home, 'keys'))).toEqual(['agreement-1.jwk.json']);
  const { body } = await supertest(one.app).get('/.well-known/jwks.json');
  expect(body.keys).toMatchObject([{ kid: 'own' }, { alg: 'countersign-agreed-v1' }]);
});

test('logs that a key in memory allows only one instance', async () => {
  const one = await service({ AGREEMENT_KEYS: 'memory' });
  expect((await askAgreed(one)).status).toBe(200);
  expect(one.log.lines()).toContainEqual(
    expect.objectContaining({ msg: expect.stringContaining('run one instance of this service only') }),
  );
});

test('AGREEMENT_KEY accepts a private JWK, or a set of them', async () => {
  const [first, second] = [newAgreementJwk(), newAgreementJwk()];
  expect((await askAgreed(await service({ AGREEMENT_KEY: JSON.stringify(first) }))).status).toBe(200);
  const both = await service({ AGREEMENT_KEY: JSON.stringify({ keys: [second, first] }) });
  expect((await askAgreed(both)).status).toBe(200);
  expect(both.log.text()).not.toContain(first.d);
});

test.each<[string, Record<string, string>, string]>([
  ['both variables', { AGREEMENT_KEYS: 'memory', AGREEMENT_KEY: JSON.stringify(newAgreementJwk()) }, 'set one'],
  ['an additional shared secret', { AGREEMENT_KEYS: 'memory', GATEWAY_SECRET: 'x'.repeat(40) }, 'set one'],
  ['a directory that cannot be created', { AGREEMENT_KEYS: '/dev/null/keys' }, 'ENOTDIR'],
  ['an invalid JWK', { AGREEMENT_KEY: '{"d":"hidden"}' }, 'must be an X25519 private JWK'],
])('refuses %s at startup', async (_what, env, why) => {
  const error = await service(env).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(ConfigError);
  expect(String(error)).toContain(why);
  expect(String(error)).not.toContain('hidden');
});

test('refuses a key in memory if instances share their replay memory', async () => {
  const redis = new Redis({ lazyConnect: true, enableOfflineQueue: false });
  stops.push(() => redis.disconnect());
  await expect(service({ AGREEMENT_KEYS: 'memory' }, redis)).rejects.toThrow('for one instance');
});
