import { createServer } from 'node:http';
import { expect, test } from '@jest/globals';
import { genuine, publicJwk, secret } from '../test/forge.ts';
import { deliver, verifierAt } from '../test/verifier.ts';
import { listen } from '../test/wire.ts';
import { gatewayKeys, IdentityUnavailable, secretGatewayKeys, secretKeyid, staticGatewayKeys } from './index.ts';

test("keys come from the gateway's key set, and before they have come nothing is refused as false", async () => {
  let keys: unknown[] = [];
  const { port, close } = await listen(createServer((_req, res) => void res.end(JSON.stringify({ keys }))));
  const fetched = gatewayKeys({ url: `http://127.0.0.1:${port}/.well-known/jwks.json` });
  expect(fetched.ready).toBe(false);
  await expect(deliver(verifierAt(undefined, { keys: fetched }), genuine())).rejects.toThrow(IdentityUnavailable);
  keys = [publicJwk];
  const later = gatewayKeys({ url: `http://127.0.0.1:${port}/.well-known/jwks.json` });
  later.start();
  await expect(deliver(verifierAt(undefined, { keys: later }), genuine())).resolves.toMatchObject({ kind: 'user' });
  expect(later.ready).toBe(true);
  expect(later.stats).toMatchObject({ keys: 1, failures: 0 });
  later.stop();
  await close();
});

test('a key of another algorithm in the set is not a gateway key', () => {
  expect(() => staticGatewayKeys({ keys: [{ kty: 'oct', k: 'c2VjcmV0', kid: 'x' }] })).toThrow();
});

test('secrets: the current and the next, each by its keyid, each of 32 bytes or more', () => {
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
