import { describe, expect, test } from '@jest/globals';
import { createSigner, createVerifier as createTheirVerifier, httpbis } from 'http-message-signatures';
import {
  componentsOf,
  edKey,
  genuine,
  hmacKey,
  type Message,
  nonce,
  nowSec,
  publicKey,
  secret,
  unsigned,
} from './forge.ts';
import { forClient, machine } from './vector-parts.ts';
import { deliver, verifierAt } from './verifier.ts';

/** An independent implementation of RFC 9421, from npm. */
const theirs = {
  ed25519: { id: 'ed-1', verify: createTheirVerifier(publicKey, 'ed25519') },
  'hmac-sha256': { id: hmacKey.keyid, verify: createTheirVerifier(secret, 'hmac-sha256') },
};

const messages: [string, Message][] = [edKey, hmacKey].flatMap((key): [string, Message][] => [
  [`a GET under ${key.algorithm}`, genuine({ key })],
  [`a GET without a query under ${key.algorithm}`, genuine({ key, target: '/v1/complaints' })],
  [
    `a POST under ${key.algorithm}`,
    genuine({ key, method: 'POST', body: '{"a":1}', contentType: 'application/json', txnToken: 'a.b.c' }),
  ],
  [`an anonymous DELETE under ${key.algorithm}`, genuine({ key, method: 'DELETE', as: { kind: 'anonymous' } })],
  [`a GET of a machine under ${key.algorithm}`, genuine({ key, as: machine })],
  [`a GET of a service for a machine under ${key.algorithm}`, genuine({ key, as: forClient })],
  [
    `an upgrade under ${key.algorithm}`,
    genuine({ key, upgrade: { protocol: 'websocket', key: 'dGhlIHNhbXBsZSBub25jZQ==' } }),
  ],
]);

const asTheirs = ({ method, target, headers }: Message, list = headers) => ({
  method,
  url: `http://service.test${target}`,
  headers: Object.fromEntries(list),
});

describe('http-message-signatures verifies our signatures', () => {
  test.each(messages)('%s', async (_name, message) => {
    const verified = await httpbis.verifyMessage(
      {
        keyLookup: async ({ keyid }) => Object.values(theirs).find(({ id }) => id === keyid) ?? null,
        requiredFields: componentsOf(message),
        requiredParams: ['created', 'expires', 'nonce', 'keyid', 'alg', 'tag'],
        notAfter: new Date(nowSec * 1000),
        tolerance: 1e9,
      },
      asTheirs(message),
    );
    expect(verified).toBe(true);
  });
});

describe('our verifier accepts signatures from http-message-signatures', () => {
  test.each(messages)('%s', async (_name, message) => {
    const algorithm = message.headers.some(([, value]) => value.includes('keyid="ed-1"')) ? 'ed25519' : 'hmac-sha256';
    const key = algorithm === 'ed25519' ? edKey : hmacKey;
    const signer =
      key.algorithm === 'ed25519'
        ? createSigner(key.privateKey, 'ed25519', key.keyid)
        : createSigner(secret, 'hmac-sha256', key.keyid);
    const signed = await httpbis.signMessage(
      {
        key: signer,
        name: 'countersign',
        fields: componentsOf(message),
        params: ['created', 'expires', 'nonce', 'keyid', 'alg', 'tag'],
        paramValues: {
          created: new Date(nowSec * 1000),
          expires: new Date((nowSec + 30) * 1000),
          nonce,
          tag: 'countersign-v1',
        },
      },
      asTheirs(message, unsigned(message)),
    );
    const headers = Object.entries(signed.headers).map(([name, value]): [string, string] => [name, String(value)]);
    await expect(deliver(verifierAt(), { ...message, headers })).resolves.toMatchObject({
      requestId: expect.any(String),
    });
  });
});
