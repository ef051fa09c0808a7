import { generateKeyPairSync } from 'node:crypto';
import {
  newNonce,
  newRequestId,
  prepareIdentity,
  type SigningKey,
  secretKeyid,
  signRequest,
} from '@countersign/identity';
import { requireIdentity, userOf } from '@countersign/identity/express';
import { commonErrors, createHealth, createMetrics, createRouter, readConfig } from '@countersign/process-kit';
import { silentLogger } from '@countersign/testing';
import { expect, test } from '@jest/globals';
import supertest from 'supertest';
import { z } from 'zod';
import { commonConfig, createServiceApp, trustGateway } from '../src/index.ts';

const schema = z.object(commonConfig);
const current = 'the-secret-of-this-service-alone-1';
const next = 'the-secret-of-this-service-alone-2';

const hmac = (text: string): SigningKey => {
  const secret = Buffer.from(text);
  return { algorithm: 'hmac-sha256', keyid: secretKeyid(secret), secret };
};

function serviceWith(env: Record<string, string>) {
  const logger = silentLogger();
  const metrics = createMetrics();
  const config = readConfig(schema, env);
  const trust = trustGateway({ audience: 'my-service', config, redis: undefined, logger, metrics });
  const routes = createRouter();
  routes.get('/me', requireIdentity(), (req, res) => void res.json({ id: userOf(req).userId }));
  const app = createServiceApp({
    logger,
    health: createHealth(trust.checks),
    metrics,
    errors: commonErrors,
    identity: trust.handler,
    routes,
  });
  return async (key: SigningKey) => {
    const user = prepareIdentity({ kind: 'user', userId: 'u1', role: 'agent', tenantId: 't1' }, 'my-service');
    const headers = signRequest(
      key,
      user,
      { method: 'GET', path: '/me', query: '', requestId: newRequestId() },
      // One second ahead, because the replay memory begins with the next whole second.
      { createdSec: Math.floor(Date.now() / 1000) + 1, lifetimeSec: 30, nonce: newNonce() },
    );
    return supertest(app).get('/me').set(Object.fromEntries(headers));
  };
}

test('a service with a shared secret accepts signatures of the current and the next secret', async () => {
  const ask = serviceWith({ GATEWAY_SECRET: current, GATEWAY_SECRET_NEXT: next });
  expect((await ask(hmac(current))).body).toEqual({ id: 'u1' });
  expect((await ask(hmac(next))).body).toEqual({ id: 'u1' });
});

test('a service with a shared secret refuses other secrets and ed25519 keys', async () => {
  const ask = serviceWith({ GATEWAY_SECRET: current });
  const { privateKey } = generateKeyPairSync('ed25519');
  const others: SigningKey[] = [
    hmac(next),
    { ...hmac(next), keyid: hmac(current).keyid },
    { algorithm: 'ed25519', keyid: hmac(current).keyid, privateKey },
  ];
  const reasons = await Promise.all(others.map(async (key) => (await ask(key)).headers['x-identity-refused']));
  expect(reasons).toEqual(['key_unknown', 'signature_invalid', 'algorithm_mismatch']);
});

test('refuses a secret under 32 bytes at startup', () => {
  expect(() => serviceWith({ GATEWAY_SECRET: 'short' })).toThrow('GATEWAY_SECRET: must have at least 32 bytes');
});
