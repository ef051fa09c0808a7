import { type KeySet, staticKeySet } from '@countersign/jwks';
import { Revocations } from '@countersign/revocations';
import { mintIssuer, type TestClock, type TestIssuer, testClock } from '@countersign/testing';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { exampleIssuer } from '../../test/kit/example-issuer.ts';
import { AccessTokens } from './verified-tokens.ts';
import { createTokenVerifier } from './verify-access-token.ts';

describe('the access token cache', () => {
  let clock: TestClock;
  let uptime: TestClock;
  let issuer: TestIssuer;
  let revocations: Revocations;
  let generation: number;
  let held: KeySet;
  let tokens: AccessTokens;

  beforeEach(async () => {
    clock = testClock();
    uptime = testClock(0);
    issuer = await mintIssuer({ nowMs: clock.nowMs });
    revocations = new Revocations({ toleranceMs: 5_000, maxStalenessMs: 30_000, onStale: 'allow' });
    revocations.applySnapshot([], clock.nowMs());
    generation = 1;
    held = staticKeySet(issuer.jwks, { algorithms: ['ES256'] });
    const keys: KeySet = {
      get generation() {
        return generation;
      },
      ready: true,
      stats: held.stats,
      find: (kid, alg) => held.find(kid, alg),
      lookup: (kid, alg) => held.lookup(kid, alg),
      start() {},
      stop() {},
    };
    const config = exampleIssuer({
      issuer: issuer.issuer,
      revocations: { url: '', shownUrl: '', maxStalenessMs: 30_000, onStale: 'allow' },
    });
    const issuers = new Map([[issuer.issuer, { config, keys, revocations }]]);
    const verify = createTokenVerifier(issuers, clock.nowMs);
    tokens = new AccessTokens({ issuers, verify, nowMs: clock.nowMs, monotonicMs: uptime.nowMs });
  });

  test('verifies a token once', async () => {
    const text = await issuer.accessToken();
    expect(tokens.find(text)).toBeUndefined();
    const token = await tokens.verify(text);
    expect(tokens.find(text)).toBe(token);
    expect(tokens.stats).toMatchObject({ hits: 1, misses: 1, size: 1 });
  });

  test('compares every character of a token', async () => {
    const text = await issuer.accessToken();
    await tokens.verify(text);
    expect(tokens.find(text.slice(0, -1))).toBeUndefined();
    expect(tokens.find(`${text}A`)).toBeUndefined();
  });

  test('refuses a cached token after its expiry', async () => {
    const text = await issuer.accessToken();
    await tokens.verify(text);
    clock.advance(904_000);
    expect(tokens.find(text)).toBeDefined();
    clock.advance(1_000);
    const detail = { issuer: issuer.issuer, subject: '01890a5d-ac96-774b-bcce-b302099a8057' };
    expect(() => tokens.find(text)).toThrow(expect.objectContaining({ code: 'token_expired', detail }));
  });

  test('refuses a cached token once its session is revoked', async () => {
    const text = await issuer.accessToken({ sid: 's1' });
    await tokens.verify(text);
    const times = { notBeforeMs: clock.nowMs() + 1000, expiresAtMs: clock.nowMs() + 900_000 };
    revocations.apply([{ kind: 'session', names: ['s1'], ...times }], clock.nowMs());
    expect(() => tokens.find(text)).toThrow(expect.objectContaining({ code: 'token_revoked' }));
    await expect(tokens.verify(text)).rejects.toMatchObject({ code: 'token_revoked' });
  });

  test('verifies a token only once if it is revoked before its first use', async () => {
    const text = await issuer.accessToken({ sid: 's1' });
    const times = { notBeforeMs: clock.nowMs() + 1000, expiresAtMs: clock.nowMs() + 900_000 };
    revocations.apply([{ kind: 'session', names: ['s1'], ...times }], clock.nowMs());
    await expect(tokens.verify(text)).rejects.toMatchObject({ code: 'token_revoked' });
    expect(() => tokens.find(text)).toThrow(expect.objectContaining({ code: 'token_revoked' }));
    expect(tokens.stats).toMatchObject({ misses: 1 });
  });

  test('verifies a token again after the key set changes', async () => {
    const text = await issuer.accessToken();
    await tokens.verify(text);
    generation += 1;
    expect(tokens.find(text)).toBeUndefined();
  });

  test('remembers a refused token for a short time, with its code', async () => {
    const text = await issuer.accessToken({ aud: 'other' });
    await expect(tokens.verify(text)).rejects.toMatchObject({ code: 'token_audience_refused' });
    for (let times = 0; times < 50; times += 1) {
      expect(tokens.find(text)).toBeUndefined();
      await expect(tokens.verify(text)).rejects.toMatchObject({ code: 'token_audience_refused' });
    }
    expect(tokens.stats).toMatchObject({ misses: 1, refusedFromMemory: 50 });
    uptime.advance(5_000);
    await expect(tokens.verify(text)).rejects.toMatchObject({ code: 'token_audience_refused' });
    expect(tokens.stats).toMatchObject({ misses: 2, refusedFromMemory: 50 });
  });

  test('accepts a token within 5 s after the system clock jumped ahead and was corrected', async () => {
    const text = await issuer.accessToken();
    clock.advance(3_600_000);
    await expect(tokens.verify(text)).rejects.toMatchObject({ code: 'token_expired' });
    clock.advance(-3_600_000);
    uptime.advance(5_000);
    await expect(tokens.verify(text)).resolves.toBeDefined();
  });

  test.each([
    ['good', {}, { hits: 49, misses: 1, refusedFromMemory: 0 }, 2],
    ['bad', { aud: 'other' }, { hits: 0, misses: 1, refusedFromMemory: 49 }, 1],
    ['future', { iat: 9_000_000_000 }, { hits: 0, misses: 1, refusedFromMemory: 49 }, 2],
  ])('verifies a token once for concurrent requests (%s)', async (_name, claims, stats, missesInTheEnd) => {
    const text = await issuer.accessToken(claims);
    const all = await Promise.allSettled(Array.from({ length: 50 }, async () => tokens.verify(text)));
    const outcomes = all.map((one) => (one.status === 'fulfilled' ? 'good' : (one.reason as { code: string }).code));
    expect(new Set(outcomes).size).toBe(1);
    expect(tokens.stats).toMatchObject(stats);
    const errors = all.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
    expect(new Set(errors).size).toBe(errors.length);
    // A later request finds no verification in progress.
    await tokens.verify(text).catch(() => {});
    expect(tokens.stats.misses).toBe(missesInTheEnd);
  });

  test('verifies a refused token again after the key set changes', async () => {
    const successor = await mintIssuer({ nowMs: clock.nowMs, kid: issuer.kid });
    const text = await successor.accessToken({ sid: 's1' });
    await expect(tokens.verify(text)).rejects.toMatchObject({ code: 'token_signature_invalid' });
    held = staticKeySet(successor.jwks, { algorithms: ['ES256'] });
    generation += 1;
    await expect(tokens.verify(text)).resolves.toBeDefined();
  });

  test('does not remember a refusal that may be temporary', async () => {
    const text = await issuer.accessToken({ iat: clock.nowMs() / 1000 + 7 });
    await expect(tokens.verify(text)).rejects.toMatchObject({ code: 'token_not_yet_valid' });
    clock.advance(2_000);
    await expect(tokens.verify(text)).resolves.toBeDefined();
  });
});
