import { createServer } from 'node:http';
import { eventually, freePorts } from '@countersign/testing';
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { genuine, publicJwk, secret } from '../../test/forge.ts';
import { deliver, verifierAt } from '../../test/verifier.ts';
import { listen } from '../../test/wire.ts';
import { gatewayKeys, IdentityUnavailable, secretGatewayKeys, secretKeyid, staticGatewayKeys } from '../index.ts';
import { agreementKeyFromJwk, newAgreementJwk, publicAgreementJwk } from './agreement-jwk.ts';

test("fetches keys from the gateway's key set, and throws IdentityUnavailable before it has any", async () => {
  let keys: unknown[] = [];
  const { port, close } = await listen(createServer((_req, res) => void res.end(JSON.stringify({ keys }))));
  const fetched = gatewayKeys({ url: `http://127.0.0.1:${port}/.well-known/jwks.json` });
  expect(fetched.ready).toBe(false);
  await expect(deliver(verifierAt(undefined, { keys: fetched }), genuine())).rejects.toThrow(IdentityUnavailable);
  keys = [publicJwk];
  const later = gatewayKeys({ url: `http://127.0.0.1:${port}/.well-known/jwks.json` });
  void later.start();
  await expect(deliver(verifierAt(undefined, { keys: later }), genuine())).resolves.toMatchObject({ kind: 'user' });
  expect(later.ready).toBe(true);
  expect(later.stats).toMatchObject({ keys: 1, failures: 0 });
  later.stop();
  await close();
});

test('the last of two members with one name counts', async () => {
  const text = JSON.stringify({ keys: [{ ...publicJwk, kid: 'last' }] }).replace('"kid"', '"kid":"first","kid"');
  const { port, close } = await listen(createServer((_req, res) => void res.end(text)));
  const fetched = gatewayKeys({ url: `http://127.0.0.1:${port}/.well-known/jwks.json` });
  await fetched.start();
  expect(fetched.stats.held).toEqual([{ kid: 'last', alg: 'EdDSA' }]);
  fetched.stop();
  await close();
});

test('a set with keys for agreement alone is empty', () => {
  const key = publicAgreementJwk(agreementKeyFromJwk(newAgreementJwk()));
  expect(() => staticGatewayKeys({ keys: [key] })).toThrow('no usable key');
});

test('reports the start and the end of an outage once, with the URL and the cause', async () => {
  let keys: unknown[] | undefined;
  const { port, close } = await listen(
    createServer(
      (_req, res) => void (keys === undefined ? res.writeHead(404).end() : res.end(JSON.stringify({ keys }))),
    ),
  );
  const url = `http://127.0.0.1:${port}/.well-known/jwks.json`;
  const told: unknown[] = [];
  const fetched = gatewayKeys({ url, onStateChange: (state, why) => told.push([state, why]) });
  await fetched.start();
  expect(fetched.ready).toBe(false);
  for (let n = 0; n < 20; n += 1) {
    const refusal = deliver(verifierAt(undefined, { keys: fetched }), genuine());
    await expect(refusal).rejects.toMatchObject({ name: 'IdentityUnavailable', reason: 'keys_unavailable' });
  }
  expect(told).toEqual([['unavailable', { url, reason: 'status', detail: 'status 404' }]]);
  keys = [publicJwk];
  await eventually(() => expect(told.slice(1)).toEqual([['available', undefined]]));
  fetched.stop();
  await close();
});

test('without onStateChange an outage emits a process warning', async () => {
  const [port = 0] = await freePorts(1);
  const url = `http://127.0.0.1:${port}/jwks.json`;
  const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
  const fetched = gatewayKeys({ url });
  await fetched.start();
  const [[message, options] = []] = warn.mock.calls;
  warn.mockRestore();
  expect(message).toContain(url);
  expect(message).toContain('ECONNREFUSED');
  expect(options).toEqual({ code: 'COUNTERSIGN_KEYS_UNAVAILABLE' });
  fetched.stop();
});

test.each([
  ['not set', undefined],
  ['not set', ''],
  ['not an absolute URL', 'gateway'],
  ['ftp:', 'ftp://gateway/keys'],
  ['contains credentials', 'http://me:secret@gateway/keys'],
])('an invalid URL names the option, the allowed form, and the fault: %s', (said, url) => {
  const make = () => gatewayKeys({ url: url as string });
  expect(make).toThrow(RangeError);
  expect(make).toThrow(/^url must be the key set's http or https URL, without credentials: /);
  expect(make).toThrow(said);
  expect(make).not.toThrow(/secret/);
});

test('throws IdentityUnavailable for an unknown keyid while the key set cannot be fetched', async () => {
  let status = 200;
  const keys = [publicJwk];
  const { port, close } = await listen(
    createServer((_req, res) => void res.writeHead(status).end(JSON.stringify({ keys }))),
  );
  const fetched = gatewayKeys({ url: `http://127.0.0.1:${port}/.well-known/jwks.json`, cooldownMs: 0 });
  expect(await fetched.lookup(publicJwk.kid)).toBeDefined();
  expect(await fetched.lookup('made-up')).toBeUndefined();
  status = 500;
  await expect(fetched.lookup('made-up')).rejects.toThrow(IdentityUnavailable);
  expect(await fetched.lookup(publicJwk.kid)).toBeDefined();
  status = 200;
  expect(await fetched.lookup('made-up')).toBeUndefined();
  await close();
});

test('refuses a key set without ed25519 keys', () => {
  expect(() => staticGatewayKeys({ keys: [{ kty: 'oct', k: 'c2VjcmV0', kid: 'x' }] })).toThrow();
});

test('finds secrets by keyid, and refuses short secrets, an empty list and a repeated keyid', () => {
  const keys = secretGatewayKeys([
    { keyid: 'a', secret },
    { keyid: 'b', secret: Buffer.alloc(32, 1) },
  ]);
  expect(keys.lookup('a')).toMatchObject({ algorithm: 'hmac-sha256' });
  expect(keys.lookup('b')).toBeDefined();
  expect(keys.lookup('c')).toBeUndefined();
  const derived = secretGatewayKeys([{ secret }]);
  expect(derived.lookup(secretKeyid(secret))).toBeDefined();
  expect(secretKeyid(Buffer.from('0123456789abcdef0123456789abcdef'))).toBe('s17jSQ8NVQspwCOeMHMlr7');
  expect(() => secretGatewayKeys([{ keyid: 'a', secret: Buffer.alloc(31) }])).toThrow(RangeError);
  expect(() => secretGatewayKeys([])).toThrow(RangeError);
  expect(() =>
    secretGatewayKeys([
      { keyid: 'a', secret },
      { keyid: 'a', secret: Buffer.alloc(32, 1) },
    ]),
  ).toThrow(RangeError);
});

describe('plain http to another machine', () => {
  const environment = process.env.NODE_ENV;
  afterEach(() => {
    jest.restoreAllMocks();
    process.env.NODE_ENV = environment;
  });
  const warningsOf = (make: () => unknown) => {
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    make();
    return warn.mock.calls;
  };
  const others = ['http://gateway:8090/', 'http://10.0.0.5/', 'http://[fd00::1]/', 'http://localhost.example/'];
  const allowed = [
    'https://gateway/',
    'http://127.0.0.1:8090/',
    'http://127.9.9.9/',
    'http://[::1]/',
    'http://localhost:8090/',
    'http://gateway.localhost/',
  ];

  test.each(others)('warns, and is refused in production: %s', (url) => {
    const [[message, options] = []] = warningsOf(() => gatewayKeys({ url }));
    expect(message).toContain(url);
    expect(options).toEqual({ code: 'COUNTERSIGN_INSECURE_TRANSPORT' });
    process.env.NODE_ENV = 'production';
    expect(() => gatewayKeys({ url })).toThrow(RangeError);
    expect(() => gatewayKeys({ url })).toThrow(/insecureTransport: true where the network is trusted$/);
  });

  test.each(others)('is accepted with insecureTransport, without a warning: %s', (url) => {
    process.env.NODE_ENV = 'production';
    expect(warningsOf(() => gatewayKeys({ url, insecureTransport: true }))).toEqual([]);
  });

  test.each(allowed)('is not what this is: %s', (url) => {
    process.env.NODE_ENV = 'production';
    expect(warningsOf(() => gatewayKeys({ url }))).toEqual([]);
  });
});
