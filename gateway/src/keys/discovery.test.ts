import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { fetchJwks } from '@countersign/jwks';
import { capturingLogger, eventually, mintIssuer, type TestIssuer } from '@countersign/testing';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { guardedFetch } from './discovery.ts';
import { type KeySetTiming, openIssuerKeys } from './issuer-keys.ts';

const configuration = '/realms/acme/.well-known/openid-configuration';
const closers: (() => Promise<void>)[] = [];
let signer: TestIssuer;
let asked: string[];
let answers: Record<string, RequestListener>;
let origin: string;

beforeEach(async () => {
  signer = await mintIssuer();
  asked = [];
  answers = { '/keys': (_request, response) => void response.end(JSON.stringify(signer.jwks)) };
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://issuer.test');
    asked.push(pathname);
    const answer = answers[pathname];
    if (answer === undefined) response.writeHead(404).end();
    else answer(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  closers.push(async () => {
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  });
});
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

const issuer = () => `${origin}/realms/acme`;
const document = (more: object = {}): RequestListener => {
  return (_request, response) =>
    void response.end(JSON.stringify({ issuer: issuer(), jwks_uri: `${origin}/keys`, ...more }));
};

function discover(of = issuer(), timing: KeySetTiming = {}) {
  const log = capturingLogger();
  const config = { issuer: of, jwks: of, discovery: true, algorithms: ['ES256'] } as const;
  const keys = openIssuerKeys(config, log.logger, { cooldownMs: 0, ...timing });
  closers.unshift(async () => keys.stop());
  return { keys, log };
}

/** A clock and timers that the test controls. */
function fakeTimers() {
  let nowMs = 1_000_000;
  const calls = new Set<() => void>();
  const timing: KeySetTiming = {
    nowMs: () => nowMs,
    timers: {
      after(_delayMs, call) {
        calls.add(call);
        return () => void calls.delete(call);
      },
    },
  };
  function advance(ms: number): void {
    nowMs += ms;
    for (const call of [...calls]) {
      calls.delete(call);
      call();
    }
  }
  return { timing, advance };
}

const hourMs = 60 * 60 * 1000;

describe('key discovery', () => {
  test('uses the keys at the URL in the metadata', async () => {
    answers[configuration] = document();
    const { keys } = discover();
    await expect(keys.lookup(signer.kid, 'ES256')).resolves.toBeDefined();
    expect(keys).toMatchObject({ ready: true, generation: 1 });
    expect(asked).toEqual([configuration, '/keys']);
  });

  test('falls back to RFC 8414 metadata', async () => {
    answers['/.well-known/oauth-authorization-server/realms/acme'] = document();
    const { keys } = discover();
    await expect(keys.lookup(signer.kid, 'ES256')).resolves.toBeDefined();
  });

  test('finds the keys of an issuer with a trailing slash', async () => {
    answers[configuration] = (_request, response) =>
      void response.end(JSON.stringify({ issuer: `${issuer()}/`, jwks_uri: `${origin}/keys` }));
    await expect(discover(`${issuer()}/`).keys.lookup(signer.kid, 'ES256')).resolves.toBeDefined();
  });

  test.each<[string, () => RequestListener, string]>([
    ['names another issuer', () => document({ issuer: 'https://evil.test' }), 'issuer_mismatch'],
    ['names the issuer with a trailing slash', () => document({ issuer: `${issuer()}/` }), 'issuer_mismatch'],
    ['names no issuer', () => document({ issuer: undefined }), 'issuer_mismatch'],
    ['has no key URL', () => document({ jwks_uri: undefined }), 'url_refused'],
    ['has a file as key URL', () => document({ jwks_uri: 'file:///etc/passwd' }), 'url_refused'],
    ['has a plain http key URL', () => document({ jwks_uri: 'http://keys.test/' }), 'url_refused'],
    ['has a key URL with a password', () => document({ jwks_uri: 'https://a:b@keys.test/' }), 'url_refused'],
    [
      'has an endpoint with another scheme',
      () => document({ token_endpoint: 'ftp://issuer.test/token' }),
      'url_refused',
    ],
    ['is a list', () => (_request, response) => void response.end('[]'), 'malformed'],
    ['is HTML', () => (_request, response) => void response.end('<html>'), 'malformed'],
    ['is too large', () => document({ padding: 'x'.repeat(300_000) }), 'oversized'],
    [
      'is a redirect',
      () => (_request, response) => void response.writeHead(302, { location: `${origin}/elsewhere` }).end(),
      'redirect',
    ],
  ])('refuses metadata that %s', async (_what, answer, reason) => {
    answers[configuration] = answer();
    answers['/elsewhere'] = document();
    const { keys, log } = discover();
    await expect(keys.lookup(signer.kid, 'ES256')).rejects.toThrow("the issuer's metadata cannot be used");
    expect(log.lines()).toEqual([
      expect.objectContaining({ level: 40, msg: 'issuer metadata cannot be used', reason }),
    ]);
    expect(keys.stats.failure).toEqual({ reason: `metadata: ${reason}`, failuresInARow: 1 });
    expect(asked).not.toContain('/keys');
    expect(keys.ready).toBe(false);
  });

  test('never fetches keys from a cloud metadata service', async () => {
    answers[configuration] = document({ jwks_uri: 'https://169.254.169.254/keys' });
    const { keys, log } = discover();
    await expect(keys.lookup(signer.kid, 'ES256')).rejects.toThrow('no usable key set');
    expect(log.lines()).toContainEqual(expect.objectContaining({ reason: 'network', detail: 'ADDRESS_REFUSED' }));
  });

  test('switches to a new key URL without a gap, once it serves keys', async () => {
    answers[configuration] = document();
    const { timing, advance } = fakeTimers();
    const { keys } = discover(issuer(), timing);
    keys.start();
    await eventually(() => expect(keys.find(signer.kid, 'ES256')).toBeDefined());
    const { generation } = keys;
    const next = await mintIssuer();
    let isUp = false;
    answers['/next'] = (_request, response) => {
      if (isUp) response.end(JSON.stringify(next.jwks));
      else response.writeHead(500).end();
    };
    answers[configuration] = document({ jwks_uri: `${origin}/next` });
    asked = [];
    advance(hourMs);
    await eventually(() => expect(asked).toEqual([configuration, '/next', '/keys']));
    expect(keys.find(signer.kid, 'ES256')).toBeDefined();
    await eventually(() => expect(keys.stats.failure).toBeUndefined());
    isUp = true;
    await eventually(() => {
      advance(60_000);
      expect(keys.find(next.kid, 'ES256')).toBeDefined();
    });
    expect(keys.find(signer.kid, 'ES256')).toBeUndefined();
    expect(keys.generation).toBeGreaterThan(generation);
  });

  test('keeps the keys if the metadata later becomes invalid', async () => {
    answers[configuration] = document();
    const { timing, advance } = fakeTimers();
    const { keys, log } = discover(issuer(), timing);
    keys.start();
    await eventually(() => expect(keys.ready).toBe(true));
    answers[configuration] = document({ issuer: 'https://evil.test', jwks_uri: `${origin}/evil` });
    advance(hourMs);
    await eventually(() => expect(log.lines().at(-1)).toMatchObject({ reason: 'issuer_mismatch' }));
    expect(keys.find(signer.kid, 'ES256')).toBeDefined();
    expect(asked).not.toContain('/evil');
  });
});

describe('a guarded request', () => {
  test.each<[string, 'public' | 'private' | 'loopback', boolean]>([
    ['127.0.0.1', 'loopback', true],
    ['127.0.0.1', 'private', false],
    ['127.0.0.1', 'public', false],
    ['localhost', 'loopback', true],
    ['localhost', 'public', false],
    ['[::ffff:127.0.0.1]', 'public', false],
  ])('to %s, with %s addresses allowed', async (host, farthest, isAllowed) => {
    const { fetch } = guardedFetch(() => farthest);
    const url = new URL(origin);
    url.hostname = host;
    const result = await fetch(`${url.origin}/keys`).then(
      ({ status }) => status,
      ({ cause }: { cause?: { code?: string } }) => cause?.code,
    );
    // On some systems an IPv4-mapped address reaches no IPv4 listener, but the request is refused before that matters.
    expect(result).toBe(isAllowed ? 200 : 'ADDRESS_REFUSED');
    if (!isAllowed) expect(asked).toEqual([]);
  });

  test('does not count an address that did not answer as reached', async () => {
    const { fetch, reached } = guardedFetch(() => 'loopback');
    await expect(fetch('http://127.0.0.1:2/')).rejects.toMatchObject({ cause: { code: 'ECONNREFUSED' } });
    expect(reached()).toBe('public');
    await fetch(`${origin}/keys`);
    expect(reached()).toBe('loopback');
  });

  const slowly: RequestListener = (_request, response) => void response.writeHead(200).write('{');
  test.each<[name: string, answer: RequestListener, outcome: object]>([
    ['a redirect', (_q, response) => response.writeHead(302, { location: '/keys' }).end(), { reason: 'redirect' }],
    ['a compressed body', (_q, response) => response.end(gzipSync('{}')), { reason: 'malformed' }],
    ['a body that never ends', slowly, { reason: 'timeout' }],
    [
      'a body that is cut short',
      (_q, response) => response.writeHead(200, { 'content-length': 9 }).write('{}', () => response.destroy()),
      { reason: 'network' },
    ],
    ['a body that is too large', (_q, response) => response.end(`"${'a'.repeat(200)}"`), { reason: 'oversized' }],
    ['a response without content', (_q, response) => response.writeHead(204).end(), { reason: 'status' }],
    ['no HTTP', ({ socket }) => socket.end('hello\r\n\r\n'), { reason: 'network' }],
    ['an unchanged document', (_q, response) => response.writeHead(304).end(), { outcome: 'unchanged' }],
  ])('reports %s', async (_name, answer, outcome) => {
    answers['/document'] = answer;
    const { signal } = new AbortController();
    const { fetch } = guardedFetch(() => 'loopback');
    const url = `${origin}/document`;
    const found = await fetchJwks({ url, etag: '"1"', timeoutMs: 300, maxBytes: 100, signal, fetch });
    expect(found).toMatchObject(outcome);
    expect(asked).toEqual(['/document']);
  });

  test.each([
    '10.1.2.3',
    '172.16.0.1',
    '192.168.1.1',
    '100.64.0.1',
    '169.254.169.254',
    '0.0.0.0',
    '[::1]',
    '[fd00::1]',
    '[fe80::1]',
    '[64:ff9b::a01:203]',
    '[::ffff:10.1.2.3]',
    '2130706433',
  ])('does not reach %s from a public issuer', async (host) => {
    const { fetch } = guardedFetch(() => 'public');
    await expect(fetch(`http://${host}:9/`)).rejects.toMatchObject({ cause: { code: 'ADDRESS_REFUSED' } });
  });
});
