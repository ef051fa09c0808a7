import { createHash, createPublicKey } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createVerifier, httpbis } from 'http-message-signatures';
import { retryDelayMs } from './retry-rules.ts';
import { signDelivery, webhookKeys } from './signature.ts';

const keys = webhookKeys(Buffer.alloc(32, 7));
const webhook = { tenantId: 'acme', id: '0197c2a0-0000-7000-8000-000000000001' };
const url = 'https://hooks.example.com/complaints?a=b';
const body = Buffer.from('{"type":"ping"}');
const createdSec = 1_800_000_000;

/** Verifies with an independent implementation of RFC 9421. */
function verifies(headers: Readonly<Record<string, string>>, to = url): Promise<boolean | null> {
  const published = createPublicKey({ key: { ...keys.published }, format: 'jwk' });
  const secret = keys.secret({ ...webhook, version: 2 });
  return httpbis.verifyMessage(
    {
      async keyLookup({ keyid, alg }) {
        if (keyid === keys.published.kid && alg === 'ed25519') {
          return { id: keyid, algs: ['ed25519'], verify: createVerifier(published, 'ed25519') };
        }
        if (keyid !== secret.keyid) return null;
        return { id: keyid, algs: ['hmac-sha256'], verify: createVerifier(secret.secret, 'hmac-sha256') };
      },
      requiredFields: ['@method', '@target-uri', 'content-digest'],
      requiredParams: ['created', 'keyid', 'tag'],
      maxAge: Number.MAX_SAFE_INTEGER,
      tolerance: Number.MAX_SAFE_INTEGER,
    },
    { method: 'POST', url: to, headers: { ...headers } },
  );
}

describe('a signed delivery', () => {
  test.each([
    ['ed25519', keys.ed25519],
    ['a secret', keys.secret({ ...webhook, version: 2 })],
  ])('a delivery verifies in an independent implementation of RFC 9421, with %s', async (_how, key) => {
    const headers = signDelivery({ url, body, createdSec }, [key]);
    expect(await verifies(headers)).toBe(true);
    expect(headers['content-digest']).toBe(`sha-256=:${createHash('sha256').update(body).digest('base64')}:`);
    expect(await verifies(headers, 'https://hooks.example.com/other').catch(() => false)).toBe(false);
    const later = {
      ...headers,
      'signature-input': headers['signature-input']?.replace('1800000000', '1800000001') ?? '',
    };
    expect(await verifies(later).catch(() => false)).toBe(false);
  });

  test('the digest covers the bytes of the body, also those that are no UTF-8 text', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const headers = signDelivery({ url, body: Buffer.from(bytes), createdSec }, [keys.ed25519]);
        expect(headers['content-digest']).toBe(`sha-256=:${createHash('sha256').update(bytes).digest('base64')}:`);
      }),
      { examples: [[Uint8Array.of(0xff)], [Uint8Array.of(0xef, 0xbb, 0xbf)], [Uint8Array.of(0xc3)]] },
    );
  });

  test('a delivery has two signatures during a rotation, one by each secret', async () => {
    const rotated = [3, 2].map((version) => keys.secret({ ...webhook, version }));
    const headers = signDelivery({ url, body, createdSec }, rotated);
    expect(headers['signature-input']).toMatch(/^sig1=\(.*keyid="[^"]*\.3".*, sig2=\(.*keyid="[^"]*\.2"/);
    expect(headers.signature).toMatch(/^sig1=:[^:]+:, sig2=:[^:]+:$/);
  });
});

test('every webhook, version and tenant has a separate secret, and each master key a separate public key', () => {
  const secrets = [
    webhook,
    { ...webhook, tenantId: 'globex' },
    { ...webhook, id: 'other' },
    { tenantId: 'acme","x', id: 'y' },
    { tenantId: 'acme', id: 'x","y' },
  ].flatMap((each) => [1, 2].map((version) => keys.secret({ ...each, version }).secret.toString('hex')));
  expect(new Set(secrets).size).toBe(secrets.length);
  expect(webhookKeys(Buffer.alloc(32, 8)).published.kid).not.toBe(keys.published.kid);
  expect(webhookKeys(Buffer.alloc(32, 7)).published).toEqual(keys.published);
});

test('retry delays grow to at most an hour, and are never less than half of that step', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1000 }),
      fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
      (attempts, random) => {
        const longest = Math.min(3_600_000, 5_000 * 2 ** Math.min(attempts - 1, 30));
        const delay = retryDelayMs(attempts, random);
        expect(delay).toBeGreaterThanOrEqual(longest / 2);
        expect(delay).toBeLessThanOrEqual(longest);
      },
    ),
  );
});
