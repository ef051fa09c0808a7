import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, type ThrowAwayRedis, throwAwayRedis } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { dpopClient } from './dpop-client.ts';
import { asker, dpopGateway, origin } from './dpop-gateway.ts';
import type { GatewayUnderTest } from './gateway-under-test.ts';

const client = dpopClient();
const lines = 'Content-Length: 0\r\n';

describe('nonces', () => {
  const home = mkdtempSync(join(tmpdir(), 'countersign-nonces-'));
  const secretFile = join(home, 'nonce-secret');
  writeFileSync(secretFile, randomBytes(32).toString('base64url'));
  const edit = ['routes:', `dpop: { nonces: { secretFile: "${secretFile}", lifetime: 60s } }\nroutes:`] as const;
  let one: Awaited<ReturnType<typeof dpopGateway>>;
  let other: GatewayUnderTest;
  let ask: ReturnType<typeof asker>;
  let token: string;
  beforeAll(async () => {
    const [first, second] = await Promise.all([dpopGateway({ edits: [edit] }), dpopGateway({ edits: [edit] })]);
    one = first;
    other = second.gateway;
    ask = asker(one.gateway);
    token = await one.gateway.issuer.accessToken({ cnf: { jkt: client.thumbprint } });
  });
  afterAll(async () => {
    await one.gateway.close();
    await other.close();
    rmSync(home, { recursive: true });
  });

  const url = `${origin}/v1/things/1`;
  const call = (nonce?: unknown) => {
    const iat = Math.floor(one.nowMs() / 1000);
    return ask({ auth: `DPoP ${token}`, proofs: [client.proof({ url, token }, { iat, nonce })] });
  };
  const fresh = async () => (await call()).headers['dpop-nonce'] ?? '';

  test('are required with 401, and sent with every answer to a proof', async () => {
    const { status, code, headers } = await call();
    expect([status, code]).toEqual([401, 'dpop_nonce_required']);
    expect(headers['www-authenticate']).toMatch(/^DPoP error="use_dpop_nonce", error_description="[^"]+", algs="/);
    expect(headers['dpop-nonce']).toMatch(/^[A-Za-z0-9_-]{22}$/);
    expect(one.gateway.upstream.requests).toHaveLength(0);
    const answer = await call(headers['dpop-nonce']);
    expect([answer.status, answer.headers['dpop-nonce']]).toEqual([200, headers['dpop-nonce']]);
  });

  test('are required with 400 at a token endpoint', async () => {
    const path = '/v1/token';
    const post = (nonce?: string) => {
      const proof = client.proof({ method: 'POST', url: origin + path, ...(nonce !== undefined && { nonce }) });
      return ask({ method: 'POST', path, proofs: [proof], lines });
    };
    const { status, code, headers } = await post();
    expect([status, code]).toEqual([400, 'use_dpop_nonce']);
    expect(headers).not.toHaveProperty('www-authenticate');
    expect((await post(headers['dpop-nonce'])).status).toBe(200);
  });

  test('are not sent to a client without a proof', async () => {
    expect((await ask({})).headers).not.toHaveProperty('dpop-nonce');
    expect((await ask({ path: '/v1/open/1' })).headers).not.toHaveProperty('dpop-nonce');
  });

  test('are the same at every replica', async () => {
    const proof = client.proof({ method: 'POST', url: `${origin}/v1/token`, nonce: await fresh() });
    const answer = await asker(other)({ method: 'POST', path: '/v1/token', proofs: [proof], lines });
    expect(answer.status).toBe(200);
  });

  test('are valid in their window and the next, then a new one is required', async () => {
    const nonce = await fresh();
    const startedAt = one.nowMs();
    try {
      one.clock.aheadMs += 60_000;
      expect((await call(nonce)).status).toBe(200);
      // Two windows later, however much of the first window was left.
      one.clock.aheadMs += 60_000 + 60_000 - (startedAt % 60_000);
      const late = await call(nonce);
      expect([late.status, late.code]).toEqual([401, 'dpop_nonce_required']);
      expect(late.headers['dpop-nonce']).not.toBe(nonce);
      expect((await call(late.headers['dpop-nonce'])).status).toBe(200);
    } finally {
      one.clock.aheadMs = 0;
    }
  });

  test.each<[name: string, make: (nonce: string) => unknown]>([
    ['foreign', () => randomBytes(16).toString('base64url')],
    ['short', (nonce) => nonce.slice(0, -2)],
    ['longer', (nonce) => `${nonce}AA`],
    ['empty', () => ''],
    ['in a list', (nonce) => [nonce]],
    ['a number', () => 1],
    ['null', () => null],
    ['respelled', (nonce) => `${nonce.slice(0, -1)}${String.fromCharCode(nonce.charCodeAt(nonce.length - 1) + 1)}`],
    ['padded', (nonce) => `${nonce}==`],
  ])('that are %s are refused', async (_name, make) => {
    const before = one.gateway.upstream.requests.length;
    const answer = await call(make(await fresh()));
    expect([answer.status, answer.code]).toEqual([401, 'dpop_nonce_required']);
    expect(one.gateway.upstream.requests.length).toBe(before);
  });
});

// A redis-server for this suite, since the tests stop and empty it.
const describeWithRedis = process.env.REDIS_URL ? describe : describe.skip;

describeWithRedis('proofs and Redis', () => {
  // Redis uses its own clock, and its memory begins now. The gateways' clocks are ahead, so that it covers the proofs.
  const aheadMs = 10_000;
  let redis: ThrowAwayRedis;
  let replicas: readonly Awaited<ReturnType<typeof dpopGateway>>[];
  beforeAll(async () => {
    redis = await throwAwayRedis();
    const start = () => dpopGateway({ redis: redis.url }, aheadMs);
    replicas = await Promise.all([start(), start()]);
  });
  afterAll(async () => {
    for (const { gateway } of replicas) await gateway.close();
    await redis.kill();
  });

  const path = '/v1/token';
  const proof = (at = Date.now() + aheadMs) =>
    client.proof({ method: 'POST', url: origin + path }, { iat: Math.floor(at / 1000) });
  const posts = (which: number, text: string) => {
    const replica = replicas[which];
    if (replica === undefined) throw new Error(`there is no replica ${which}`);
    return asker(replica.gateway)({ method: 'POST', path, proofs: [text], lines });
  };
  const arrived = () => replicas.reduce((sum, { gateway }) => sum + gateway.upstream.requests.length, 0);

  test('a proof that was used at one gateway is refused at the other', async () => {
    const text = proof();
    expect((await posts(0, text)).status).toBe(200);
    const again = await posts(1, text);
    expect([again.status, again.code]).toEqual([400, 'invalid_dpop_proof']);
    expect(arrived()).toBe(1);
  });

  test('accepts one of 20 concurrent uses at two gateways', async () => {
    const before = arrived();
    const text = proof();
    const answers = await Promise.all(Array.from({ length: 20 }, (_, index) => posts(index % 2, text)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(arrived()).toBe(before + 1);
  });

  test('refuses a used proof until it expires, with clocks 5 s ahead and 5 s behind', async () => {
    const [ahead, behind] = replicas;
    if (ahead === undefined || behind === undefined) throw new Error('a replica is missing');
    ahead.clock.aheadMs = aheadMs + 5_000;
    behind.clock.aheadMs = aheadMs - 5_000;
    const [used, unused] = [proof(), proof()];
    expect((await posts(0, used)).status).toBe(200);
    const before = arrived();
    // Close to the end of the proof's life at the gateway whose clock is behind: 60 + 5 s after it was made, by a
    // clock 5 s behind. The difference is the time that this test needs.
    const laterMs = 67_000;
    const client = new Redis(redis.url);
    for (const key of await client.keys('countersign:replay:dpop*')) {
      await client.pexpire(key, Math.max(0, (await client.pttl(key)) - laterMs));
    }
    client.disconnect();
    behind.clock.aheadMs += laterMs;
    expect((await posts(1, used)).code).toBe('invalid_dpop_proof');
    expect(arrived()).toBe(before);
    expect((await posts(1, unused)).status).toBe(200);
    for (const { clock } of replicas) clock.aheadMs = aheadMs;
  });

  test('answers 503 promptly while Redis hangs', async () => {
    const before = arrived();
    process.kill(redis.pid(), 'SIGSTOP');
    try {
      const times: number[] = [];
      for (let count = 0; count < 4; count += 1) {
        const startedAt = performance.now();
        const { status, code } = await posts(count % 2, proof());
        times.push(performance.now() - startedAt);
        expect([status, code]).toEqual([503, 'dpop_replay_unavailable']);
      }
      // The gateway waits 200 ms; the rest is a margin for slow machines.
      expect(Math.min(...times)).toBeLessThan(300);
      expect(arrived()).toBe(before);
    } finally {
      process.kill(redis.pid(), 'SIGCONT');
    }
  });

  test('answers 503 promptly while Redis is down, and serves requests without a proof', async () => {
    const before = arrived();
    await redis.kill();
    for (let count = 0; count < 4; count += 1) {
      const startedAt = performance.now();
      const answer = await posts(count % 2, proof());
      expect([answer.status, answer.code, answer.headers['retry-after']]).toEqual([
        503,
        'dpop_replay_unavailable',
        '2',
      ]);
      expect(performance.now() - startedAt).toBeLessThan(1_000);
    }
    expect(arrived()).toBe(before);
    const [first] = replicas;
    expect((await first?.gateway.ask('/v1/open/1'))?.status).toBe(200);
  });

  test('an emptied Redis refuses proofs that may have been used before', async () => {
    const before = arrived();
    for (const { clock } of replicas) clock.aheadMs = 0;
    const old = proof(Date.now());
    await redis.start();
    for (const text of [old, proof(Date.now())]) {
      const answer = await posts(1, text);
      expect([answer.status, answer.code]).toEqual([503, 'dpop_replay_unavailable']);
    }
    expect(arrived()).toBe(before);
    for (const { clock } of replicas) clock.aheadMs = aheadMs;
    await eventually(async () => expect((await posts(1, proof())).status).toBe(200));
  });
});
