import { hkdfSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { staticKeySet } from '@countersign/jwks';
import { mintIssuer, type TestClock, testClock } from '@countersign/testing';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose';
import { exampleConfig } from '../../test/kit/example-config.ts';
import { loadGatewayKeys } from '../keys/key-directory.ts';
import { createKey, readKeys, removeKey, retireKey } from '../keys/key-files.ts';
import type { StatusClaims } from './claims.ts';
import { createTxnTokens, maxDepth, type Transaction } from './txn-token.ts';
import type { TrustedIssuer } from './verified-tokens.ts';

/** A token without scopes or an actor. */
const nothingMore = { scope: [], act: undefined, kept: new Map() };
const requestId = '0197c2a0-0000-7000-8000-000000000001';

describe('a txn-token', () => {
  let home: string;
  let clock: TestClock;
  let issuer: TrustedIssuer;
  beforeEach(async () => {
    home = mkdtempSync(join(tmpdir(), 'countersign-txn-'));
    clock = testClock();
    createKey('ed25519', home, nowSec() - 60);
    const [config] = exampleConfig().issuers;
    if (config === undefined) throw new Error('no issuer');
    const { jwks } = await mintIssuer();
    issuer = { config, keys: staticKeySet(jwks, { algorithms: ['ES256'] }), revocations: undefined };
  });
  afterEach(() => rmSync(home, { recursive: true }));

  const nowSec = () => Math.floor(clock.nowMs() / 1000);
  /** Returns the txn-tokens of a gateway that reads the key directory now. */
  const replica = (issuers = [issuer]) =>
    createTxnTokens({
      keys: loadGatewayKeys(home, nowSec()),
      issuers: new Map(issuers.map((one) => [one.config.issuer, one])),
      nowMs: clock.nowMs,
    });
  const transaction = (over: Partial<Transaction> = {}, lifeSec = 900): Transaction => ({
    id: requestId,
    depth: 1,
    token: {
      claims: {
        ...nothingMore,
        kind: 'user',
        issuer: issuer.config.issuer,
        subject: 'u-1',
        userId: 'u-1',
        clientId: undefined,
        role: 'agent',
        tenantId: 't-1',
        sessionId: 's-1',
        issuedAtSec: nowSec(),
        expiresAtSec: nowSec() + lifeSec,
      },
      kid: 'k-1',
      issuer,
    },
    ...over,
  });
  const refusal = (code: string) => expect.objectContaining({ code });

  const word = fc.stringMatching(/^[A-Za-z0-9._~:@|-]{1,128}$/);
  const text = fc.stringMatching(/^[!#-[\]-~]{1,64}$/);
  const optionally = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
  const anyone = fc
    .record({
      kind: fc.constantFrom('user', 'client'),
      name: word,
      client: optionally(fc.oneof(word, fc.webUrl())),
      tenantId: word,
      role: fc.stringMatching(/^[a-z0-9_-]{1,64}$/),
      isBare: fc.boolean(),
      sessionId: optionally(word),
      scope: fc.uniqueArray(text, { maxLength: 5 }),
      act: optionally(fc.record({ sub: text, iss: text })),
      depth: fc.integer({ min: 1, max: maxDepth }),
      kid: fc.string(),
    })
    .map(({ kind, name, client, tenantId, role, isBare, sessionId, scope, act, depth, kid }): Transaction => {
      const claims = {
        issuer: issuer.config.issuer,
        subject: `${kid}-subject`,
        sessionId,
        issuedAtSec: nowSec(),
        expiresAtSec: nowSec() + 900,
        scope,
        act,
        kept: new Map(),
      };
      const withToken = (whole: StatusClaims) => ({ id: requestId, depth, token: { claims: whole, kid, issuer } });
      if (kind === 'user') {
        return withToken({ ...claims, kind: 'user', userId: name, role, tenantId, clientId: client });
      }
      // An OAuth client needs neither role nor tenant.
      const facts = { tenantId: isBare ? undefined : tenantId, role: isBare ? undefined : role };
      return withToken({ ...claims, kind: 'client', userId: undefined, clientId: name, ...facts });
    });

  test('returns the same transaction, even at another gateway with the same keys', () => {
    const issuedAtSec = nowSec();
    fc.assert(
      fc.property(anyone, (whole) => {
        const token = replica().mint(whole, 'complaint-service');
        expect(token).toMatch(/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/);
        expect(replica().read(token, 'complaint-service')).toEqual({ ...whole, issuedAtSec });
      }),
      { numRuns: 60 },
    );
  });

  test('is never longer than a service accepts', () => {
    const scope = Array.from({ length: 64 }, (_, at) => `${at}`.padEnd(128, 's'));
    const { token, ...rest } = transaction();
    const long = { ...rest, token: { ...token, claims: { ...token.claims, scope } } } as Transaction;
    expect(() => replica().mint(long, 'complaint-service')).toThrow(refusal('token_context_too_long'));
  });

  test('has the header and claims of the draft', () => {
    const token = replica().mint(transaction(), 'complaint-service');
    const [key] = readKeys(home);
    expect(decodeProtectedHeader(token)).toEqual({ alg: 'HS256', typ: 'txntoken+jwt', kid: key?.kid });
    expect(decodeJwt(token)).toEqual({
      aud: 'countersign-internal',
      iat: nowSec(),
      exp: nowSec() + 60,
      txn: requestId,
      sub: 'u-1',
      tenant_id: 't-1',
      role: 'agent',
      sid: 's-1',
      req_wl: 'complaint-service',
      depth: 1,
      token: { iss: issuer.config.issuer, sub: 'u-1', kid: 'k-1', iat: nowSec(), exp: nowSec() + 900 },
    });
  });

  test('is valid for another library with the derived secret', async () => {
    const token = replica().mint(transaction(), 'complaint-service');
    const { d = '' } = readKeys(home)[0]?.privateKey.export({ format: 'jwk' }) ?? {};
    const secret = hkdfSync('sha256', Buffer.from(d, 'base64url'), '', 'countersign txn-token v1', 32);
    const options = { audience: 'countersign-internal', typ: 'txntoken+jwt', currentDate: new Date(clock.nowMs()) };
    const { payload } = await jwtVerify(token, Buffer.from(secret), options);
    expect(payload.txn).toBe(requestId);
  });

  test('is refused if any character changes', () => {
    const tokens = replica();
    const token = tokens.mint(transaction(), 'complaint-service');
    fc.assert(
      fc.property(fc.nat(token.length - 1), fc.stringMatching(/^[A-Za-z0-9_.-]$/), (at, character) => {
        fc.pre(token[at] !== character);
        const changed = token.slice(0, at) + character + token.slice(at + 1);
        expect(() => tokens.read(changed, 'complaint-service')).toThrow(refusal('txn_token_invalid'));
      }),
      { numRuns: 200 },
    );
  });

  test.each(['', 'a', 'a.b.c', '..', 'x'.repeat(9_000)])('is refused if it is not a token (%#)', (text) => {
    expect(() => replica().read(text, 'complaint-service')).toThrow(refusal('txn_token_invalid'));
  });

  test('is valid only for the service that received it', () => {
    const token = replica().mint(transaction(), 'complaint-service');
    expect(() => replica().read(token, 'users-service')).toThrow(refusal('txn_token_foreign'));
  });

  test("is valid for a minute, and never longer than the user's token", () => {
    const tokens = replica();
    const whole = tokens.mint(transaction(), 'a');
    const short = tokens.mint(transaction({}, 10), 'a');
    clock.advance(14_999);
    tokens.read(short, 'a');
    clock.advance(1);
    expect(() => tokens.read(short, 'a')).toThrow(refusal('txn_token_expired'));
    clock.advance(49_999);
    tokens.read(whole, 'a');
    clock.advance(1);
    expect(() => tokens.read(whole, 'a')).toThrow(refusal('txn_token_expired'));
  });

  test('is refused if it comes from the future', () => {
    clock.advance(6_000);
    const token = replica().mint(transaction(), 'a');
    clock.advance(-6_000);
    expect(() => replica().read(token, 'a')).toThrow(refusal('txn_token_invalid'));
  });

  test('is refused if its issuer is no longer trusted', () => {
    const token = replica().mint(transaction(), 'a');
    expect(() => replica([]).read(token, 'a')).toThrow(refusal('txn_token_invalid'));
  });

  test('stays valid after the gateway keys rotate and its own key expires', () => {
    const before = replica().mint(transaction(), 'a');
    createKey('ed25519', home, nowSec());
    const after = replica().mint(transaction(), 'a');
    expect(decodeProtectedHeader(after).kid).not.toBe(decodeProtectedHeader(before).kid);
    replica().read(before, 'a');
    replica().read(after, 'a');
    const [old] = readKeys(home);
    if (old === undefined) throw new Error('no key');
    retireKey(home, old, nowSec() + 70);
    clock.advance(64_000);
    replica().read(before, 'a');
  });

  test('is invalid once its key is removed', () => {
    const token = replica().mint(transaction(), 'a');
    const [old] = readKeys(home);
    if (old === undefined) throw new Error('no key');
    createKey('ed25519', home, nowSec());
    removeKey(home, old);
    expect(() => replica().read(token, 'a')).toThrow(refusal('txn_token_invalid'));
  });

  test('is not created if no key may sign', () => {
    const tokens = replica();
    clock.advance(-3_600_000);
    expect(() => tokens.mint(transaction(), 'a')).toThrow(refusal('unavailable'));
  });
});
