import { eventually, type StartedProcess, type ThrowAwayRedis, throwAwayRedis } from '@countersign/testing';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { request } from 'undici';
import { type GatewayProcess, gatewayProcess } from './gateway-process.ts';
import { type IntrospectionServer, introspectionServer } from './kit/introspection-server.ts';

const workers = 2;

let redis: ThrowAwayRedis;
let place: GatewayProcess;
let provider: IntrospectionServer;
let primary: StartedProcess;
beforeAll(async () => {
  redis = await throwAwayRedis();
  provider = await introspectionServer();
  place = await gatewayProcess({ env: { CLIENT_SECRET: 'short' } });
  const events = `name: sso
    claims: { userId: sub }
    introspection: { url: "${provider.url}", clientId: gateway, clientSecret: "\${CLIENT_SECRET}", cacheFor: 1h }
    events: { audience: web, backchannelLogout: true }`;
  const yaml = place.yaml
    .replace(/revocations: .*/, events)
    .replace('version: 1', `version: 1\njournal: ./journal\nredis: ${redis.url}`);
  place.write(yaml);
  primary = await place.start('--workers', String(workers));
});
afterAll(async () => {
  await place.close();
  await provider.close();
  await redis.kill();
});

const nowSec = () => Math.floor(Date.now() / 1000);
const active = (sub: string) => ({
  active: true,
  token_type: 'Bearer',
  sub,
  aud: 'complaints-api',
  tenant_id: 't-1',
  role: 'agent',
  client_id: 'web',
  iat: nowSec() - 10,
  exp: nowSec() + 900,
});

/** Sends requests over connections of their own, until each worker has answered one. @returns The outcomes. */
async function askBoth(token: string): Promise<ReadonlySet<number | string>> {
  const servedBy = () => {
    const lines = primary.output().split('\n');
    const served = lines.filter((line) => line.includes('"msg":"request"') && line.includes('"route":"things"'));
    return served.map((line) => JSON.parse(line).pid as number);
  };
  const before = servedBy().length;
  const outcomes = new Set<number | string>();
  const ask = async () => {
    const headers = { connection: 'close', authorization: `Bearer ${token}` };
    const { statusCode, body } = await request(`${place.url}/v1/things/1`, { headers });
    const text = await body.text();
    outcomes.add(statusCode === 200 ? 200 : (JSON.parse(text).code as string));
  };
  await eventually(async () => {
    await Promise.all(Array.from({ length: 10 }, ask));
    await eventually(() => expect(new Set(servedBy().slice(before)).size).toBe(workers), 1_000);
  }, 20_000);
  return outcomes;
}

async function logOut(claims: Readonly<Record<string, unknown>>): Promise<number> {
  const token = await place.issuer.sign(
    {
      iss: place.issuer.issuer,
      aud: 'web',
      iat: nowSec(),
      exp: nowSec() + 120,
      jti: crypto.randomUUID(),
      events: { 'http://schemas.openid.net/event/backchannel-logout': {} },
      ...claims,
    },
    { typ: 'logout+jwt' },
  );
  const headers = { connection: 'close', 'content-type': 'application/x-www-form-urlencoded' };
  const url = `${place.url}/.well-known/countersign/backchannel-logout/sso`;
  const { statusCode, body } = await request(url, { method: 'POST', headers, body: `logout_token=${token}` });
  await body.dump();
  return statusCode;
}

test('each of two workers asks once about a token', async () => {
  provider.answerWith(active('ann'));
  expect(await askBoth('token-of-ann')).toEqual(new Set([200]));
  expect(provider.calls.map(({ token }) => token)).toEqual(['token-of-ann', 'token-of-ann']);
});

test('an event that one worker received purges the answers of both', async () => {
  provider.answerWith(active('bob'));
  expect(await askBoth('token-of-bob')).toEqual(new Set([200]));
  provider.answerWith({ active: false });
  // A session that no answer names, so the provider must be asked again.
  expect(await logOut({ sid: 'a-session' })).toBe(200);
  await eventually(async () => expect(await askBoth('token-of-bob')).toEqual(new Set(['token_inactive'])), 20_000);
});

test('an event about the user refuses the token in both, although its provider still calls it active', async () => {
  provider.answerWith(active('eve'));
  expect(await askBoth('token-of-eve')).toEqual(new Set([200]));
  expect(await logOut({ sub: 'eve' })).toBe(200);
  await eventually(async () => expect(await askBoth('token-of-eve')).toEqual(new Set(['token_revoked'])), 20_000);
});
