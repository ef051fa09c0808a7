import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConnectionPool, createSocketOpener, singleUse } from '@countersign/http1-client';
import { newAgreementJwk, type PrivateAgreementJwk } from '@countersign/identity';
import { type CapturingLogger, capturingLogger, eventually, testAuthority } from '@countersign/testing';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { AppError } from '../errors.ts';
import { UpstreamAgreement } from './agreement.ts';
import { openTlsFiles, type TlsFiles } from './pool/connect-pool.ts';

const setOf = (...jwks: readonly object[]): RequestListener => {
  const text = JSON.stringify({ keys: jwks });
  return (_req, res) => void res.setHeader('content-type', 'application/json').end(text);
};
const publicOf = ({ d: _private, ...half }: PrivateAgreementJwk) => half;

const agreedInput = (kid: string) => `countersign=("@method");keyid="${'a'.repeat(43)}.${kid}";alg="hmac-sha256"`;
const refusal = (reason: string) => new AppError('identity_refused', { detail: { reason } });

type Followed = Readonly<{ origins: readonly string[]; tls?: TlsFiles }>;

describe('upstream keys', () => {
  let nowMs: number;
  let log: CapturingLogger;
  let agreement: UpstreamAgreement;
  let closes: (() => Promise<unknown>)[];
  beforeEach(() => {
    nowMs = 0;
    log = capturingLogger();
    closes = [];
  });
  afterEach(async () => {
    await agreement.stop();
    for (const close of closes) await close();
  });

  /** A target whose response the test can change. */
  async function target(answer: RequestListener) {
    const served = { answer, fetches: 0, url: '' };
    const server = createServer((req, res) => {
      served.fetches += 1;
      served.answer(req, res);
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    served.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    closes.push(() => new Promise((resolve) => server.close(resolve).closeAllConnections()));
    return served;
  }

  function follow({ origins, tls }: Followed): UpstreamAgreement {
    agreement = new UpstreamAgreement({
      upstream: 'things',
      targets: origins.map((origin) => ({
        origin,
        openSingleUse: (timeoutMs) =>
          new ConnectionPool(
            origin,
            singleUse(
              createSocketOpener({ origin, connectTimeoutMs: 1_000, tls: tls && (() => tls.current()) }),
              timeoutMs,
            ),
          ),
      })),
      logger: log.logger,
      monotonicMs: () => nowMs,
      random: () => 0.5,
    });
    agreement.start();
    agreement.start();
    return agreement;
  }

  const chosen = () => {
    const key = agreement.serviceKey();
    return typeof key === 'string' ? key : key.kid;
  };
  const settled = (expected: string) => eventually(() => expect(chosen()).toBe(expected));
  /** Fetches again, as after a refused key, and waits for the response. */
  async function fetchAgain(served: { fetches: number }): Promise<void> {
    const before = served.fetches;
    nowMs += 1_000;
    for (const one of agreement.targets) one.poll.hurry(1_000);
    await eventually(() => expect(served.fetches).toBeGreaterThan(before));
  }

  test('uses the first key that every target publishes', async () => {
    const [old, fresh, other] = [newAgreementJwk(), newAgreementJwk(), newAgreementJwk()].map(publicOf);
    if (old === undefined || fresh === undefined || other === undefined) throw new Error('no key');
    const one = await target(setOf(fresh, old));
    const two = await target(setOf(old));
    follow({ origins: [one.url, two.url] });
    await settled(old.kid);
    two.answer = setOf(other, fresh, old);
    await fetchAgain(two);
    await settled(fresh.kid);
    expect(log.lines().filter(({ msg }) => String(msg).includes('signed with an agreed key'))).toHaveLength(2);
  });

  test.each<[string, RequestListener, string]>([
    ['no key set', (_req, res) => void res.writeHead(404).end(), 'no_common_key'],
    ['an empty key set', setOf(), 'no_common_key'],
    ['a key set without X25519 keys', setOf({ kty: 'RSA', kid: 'a' }), 'no_common_key'],
    ['a low-order key', setOf({ ...publicOf(newAgreementJwk()), x: 'A'.repeat(43) }), 'no_common_key'],
    ['HTML', (_req, res) => void res.end('<p>'), 'keys_unknown'],
    ['truncated JSON', (_req, res) => void res.end('{"keys":['), 'keys_unknown'],
    ['null', (_req, res) => void res.end('null'), 'keys_unknown'],
    ['an error', (_req, res) => void res.writeHead(500).end(), 'keys_unknown'],
    ['more than 64 KiB', (_req, res) => void res.end(`{"keys":[${'{},'.repeat(30_000)}{}]}`), 'keys_unknown'],
    ['a redirect', (_req, res) => void res.writeHead(302, { location: '/other' }).end(), 'keys_unknown'],
    [
      'a content coding',
      (_req, res) => void res.writeHead(200, { 'content-encoding': 'gzip' }).end('{}'),
      'keys_unknown',
    ],
  ])('falls back if a target answers with %s', async (_what, answer, expected) => {
    const served = await target(answer);
    follow({ origins: [served.url] });
    await eventually(() => {
      const [one] = agreement.targets;
      expect(one?.failure ?? one?.keys).toBeDefined();
    });
    expect(chosen()).toBe(expected);
  });

  test('stops using a key immediately once a target no longer publishes it', async () => {
    const jwk = publicOf(newAgreementJwk());
    const served = await target(setOf(jwk));
    follow({ origins: [served.url] });
    await settled(jwk.kid);
    served.answer = setOf();
    await fetchAgain(served);
    await settled('no_common_key');
  });

  test.each<[string, RequestListener]>([
    ['that is down', (req) => void req.socket.destroy()],
    ['whose key set is garbage', (_req, res) => void res.end('garbage')],
    ['that redirects', (_req, res) => void res.writeHead(301, { location: 'http://127.0.0.1:1/' }).end()],
  ])('keeps the key of a target %s for an hour', async (_what, answer) => {
    const jwk = publicOf(newAgreementJwk());
    const served = await target(setOf(jwk));
    follow({ origins: [served.url] });
    await settled(jwk.kid);
    served.answer = answer;
    await fetchAgain(served);
    await eventually(() => expect(agreement.targets[0]?.failure).toBeDefined());
    expect(chosen()).toBe(jwk.kid);
    nowMs = 3_600_000;
    expect(chosen()).toBe(jwk.kid);
    nowMs += 1_001;
    expect(chosen()).toBe('keys_unknown');
  });

  test('stops using a key an hour after one target last confirmed it, even if another still does', async () => {
    const jwk = publicOf(newAgreementJwk());
    const [up, down] = [await target(setOf(jwk)), await target(setOf(jwk))];
    follow({ origins: [up.url, down.url] });
    await settled(jwk.kid);
    down.answer = (req) => void req.socket.destroy();
    await fetchAgain(down);
    await eventually(() => expect(agreement.targets.map(({ confirmedAtMs }) => confirmedAtMs)).toEqual([1_000, 0]));
    await eventually(() => expect(agreement.targets[1]?.failure).toBeDefined());
    nowMs = 3_600_001;
    expect(chosen()).toBe('keys_unknown');
  });

  test("fetches key sets over TLS, with the upstream's certificates", async () => {
    const home = mkdtempSync(join(tmpdir(), 'countersign-agreement-tls-'));
    const [services, clients] = [testAuthority('services'), testAuthority('clients')];
    const us = clients.issue(['gateway']);
    const files = { ca: services.ca, cert: us.cert, key: us.key };
    for (const [name, text] of Object.entries(files)) writeFileSync(join(home, name), text, { mode: 0o600 });
    const jwk = publicOf(newAgreementJwk());
    const own = { ...services.issue(['127.0.0.1']), ca: clients.ca, requestCert: true, rejectUnauthorized: true };
    const server = createSecureServer(own, setOf(jwk)).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    closes.push(() => new Promise((resolve) => server.close(resolve).closeAllConnections()));
    const origin = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const tls = openTlsFiles(
      'things',
      { caFile: join(home, 'ca'), certFile: join(home, 'cert'), keyFile: join(home, 'key'), serverName: undefined },
      log.logger,
    );
    const trusted = follow({ origins: [origin], tls });
    closes.push(() => trusted.stop());
    await settled(jwk.kid);
    follow({ origins: [origin] });
    await eventually(() => expect(agreement.targets[0]?.failure).toBeDefined());
    expect(chosen()).toBe('keys_unknown');
    rmSync(home, { recursive: true });
  });

  test('reads at most four keys per target', async () => {
    const jwks = Array.from({ length: 6 }, () => publicOf(newAgreementJwk()));
    const one = await target(setOf(...jwks));
    const two = await target(setOf(...jwks.slice(4)));
    follow({ origins: [one.url, two.url] });
    await settled('no_common_key');
    expect(agreement.targets[0]?.keys).toHaveLength(4);
  });

  test('logs once that targets have different keys', async () => {
    const one = await target(setOf(publicOf(newAgreementJwk())));
    const two = await target(setOf(publicOf(newAgreementJwk())));
    follow({ origins: [one.url, two.url] });
    await settled('no_common_key');
    await fetchAgain(one);
    await eventually(() => expect(agreement.targets[1]?.keys).toHaveLength(1));
    const warnings = log.lines().filter(({ msg }) => String(msg).includes('publish different keys'));
    expect(warnings).toHaveLength(1);
  });

  test('after key_unknown, uses ed25519 for 30 s and fetches the key sets again', async () => {
    const jwk = publicOf(newAgreementJwk());
    const served = await target(setOf(jwk));
    follow({ origins: [served.url] });
    await settled(jwk.kid);
    nowMs = 10_000;
    const headers = ['x-sent-by-client', 'signature-input', 'signature-input', agreedInput(jwk.kid)];
    expect(agreement.shouldRepeat(refusal('key_unknown'), headers)).toBe(true);
    expect(chosen()).toBe('key_unknown');
    await eventually(() => expect(agreement.targets[0]?.confirmedAtMs).toBe(10_000));
    nowMs = 39_999;
    expect(chosen()).toBe('key_unknown');
    nowMs = 40_000;
    expect(chosen()).toBe(jwk.kid);
  });

  test('after key_unknown, uses a new key as soon as it is fetched', async () => {
    const [old, fresh] = [publicOf(newAgreementJwk()), publicOf(newAgreementJwk())];
    const served = await target(setOf(old));
    follow({ origins: [served.url] });
    await settled(old.kid);
    served.answer = setOf(fresh);
    nowMs = 10_000;
    const refused = ['signature-input', agreedInput(old.kid)];
    expect(agreement.shouldRepeat(refusal('key_unknown'), refused)).toBe(true);
    expect(chosen()).toBe('key_unknown');
    await settled(fresh.kid);
    expect(agreement.shouldRepeat(refusal('key_unknown'), refused)).toBe(true);
    expect(chosen()).toBe(fresh.kid);
  });

  test('fetches again after 5 s if the service refuses the key that it publishes: another instance answered', async () => {
    const [refused, fresh] = [publicOf(newAgreementJwk()), publicOf(newAgreementJwk())];
    const served = await target(setOf(refused));
    follow({ origins: [served.url] });
    await settled(refused.kid);
    nowMs = 10_000;
    agreement.shouldRepeat(refusal('key_unknown'), ['signature-input', agreedInput(refused.kid)]);
    await eventually(() => expect(agreement.targets[0]?.confirmedAtMs).toBe(10_000));
    served.answer = setOf(fresh);
    await settled(fresh.kid);
  });

  test("ignores another service's key", async () => {
    const [another, own] = [publicOf(newAgreementJwk('others')), publicOf(newAgreementJwk('things'))];
    const served = await target(setOf(another));
    follow({ origins: [served.url] });
    await settled('no_common_key');
    served.answer = setOf(another, own);
    await fetchAgain(served);
    await settled(own.kid);
  });

  describe('of instances behind one address', () => {
    const warnings = () => log.lines().filter(({ msg }) => String(msg).includes('a captured request works once'));

    /** One fetch reaches each instance, in this order. */
    async function fetchFrom(served: Awaited<ReturnType<typeof target>>, ...sets: RequestListener[]): Promise<void> {
      for (const answer of sets) {
        served.answer = answer;
        await fetchAgain(served);
        await eventually(() => expect(agreement.targets[0]?.confirmedAtMs).toBe(nowMs));
      }
    }

    test('a key that returns proves that they differ: ed25519 for 10 minutes, an hour, a day', async () => {
      const [one, two] = [setOf(publicOf(newAgreementJwk())), setOf(publicOf(newAgreementJwk()))];
      const served = await target(one);
      follow({ origins: [served.url] });
      await eventually(() => expect(chosen()).not.toBe('keys_unknown'));
      await fetchFrom(served, two);
      expect(chosen()).not.toBe('instances_differ');
      for (const [at, minutes] of [10, 60, 1440, 1440].entries()) {
        await fetchFrom(served, at % 2 === 0 ? one : two);
        nowMs += minutes * 60_000 - 1;
        expect(chosen()).toBe('instances_differ');
        expect(warnings()).toHaveLength(at + 1);
        nowMs += 1;
        expect(chosen()).not.toBe('instances_differ');
        await fetchFrom(served, at % 2 === 0 ? one : two);
      }
      nowMs += 86_400_000;
      await fetchFrom(served, one);
      nowMs += 600_000;
      await fetchFrom(served, one);
      expect(chosen()).not.toBe('instances_differ');
    });

    test('the time starts again while they still differ, with one warning', async () => {
      const [one, two] = [setOf(publicOf(newAgreementJwk())), setOf(publicOf(newAgreementJwk()))];
      const served = await target(one);
      follow({ origins: [served.url] });
      await eventually(() => expect(chosen()).not.toBe('keys_unknown'));
      await fetchFrom(served, two, one);
      nowMs += 598_000;
      await fetchFrom(served, two);
      nowMs += 599_999;
      expect(chosen()).toBe('instances_differ');
      expect(warnings()).toHaveLength(1);
    });

    test('restarts, rotations and a service that pauses are no proof', async () => {
      const [a, b, c] = [newAgreementJwk(), newAgreementJwk(), newAgreementJwk()].map(publicOf);
      if (a === undefined || b === undefined || c === undefined) throw new Error('no key');
      const served = await target(setOf(a));
      follow({ origins: [served.url] });
      await settled(a.kid);
      await fetchFrom(served, setOf(), setOf(a), setOf(b, a), setOf(a), setOf(b, a), setOf(b), setOf(c));
      expect(chosen()).toBe(c.kid);
      expect(warnings()).toEqual([]);
    });
  });

  test.each<[string, AppError, string]>([
    ['another reason', refusal('signature_invalid'), agreedInput('b'.repeat(43))],
    [
      'another error',
      new AppError('upstream_unreachable', { detail: { reason: 'key_unknown' } }),
      agreedInput('b'.repeat(43)),
    ],
    ['an ed25519 key', refusal('key_unknown'), 'countersign=("@method");keyid="ed-1";alg="ed25519"'],
    ['no signature', refusal('key_unknown'), ''],
  ])('ignores a refusal for %s', async (_what, error, input) => {
    const jwk = publicOf(newAgreementJwk());
    const served = await target(setOf(jwk));
    follow({ origins: [served.url] });
    await settled(jwk.kid);
    expect(agreement.shouldRepeat(error, ['signature-input', input])).toBe(false);
    expect(chosen()).toBe(jwk.kid);
  });

  test('fetches once a second even after many refusals at once', async () => {
    const jwk = publicOf(newAgreementJwk());
    const served = await target(setOf(jwk));
    follow({ origins: [served.url] });
    await settled(jwk.kid);
    nowMs = 5_000;
    for (let count = 0; count < 100; count += 1) {
      agreement.shouldRepeat(refusal('key_unknown'), ['signature-input', agreedInput(jwk.kid)]);
    }
    await eventually(() => expect(agreement.targets[0]?.confirmedAtMs).toBe(5_000));
    expect(served.fetches).toBe(2);
  });
});
