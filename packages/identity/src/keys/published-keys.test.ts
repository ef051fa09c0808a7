import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { agreementKeysIn, secretGatewayKeys, staticGatewayKeys } from '../index.ts';
import { publishedKeys } from './published-keys.ts';

const read = (name: string) => JSON.parse(readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8'));
const vectors = read('vectors.json');

test('vectors.json lists the same published keys', () => {
  expect(publishedKeys).toEqual(vectors.published);
});

test('no key from the test vectors works', () => {
  expect(() => staticGatewayKeys(vectors.keys.jwks)).toThrow('no usable key');
  expect(agreementKeysIn(read('agreed-vectors.json').keys.jwks)).toEqual([]);
  for (const { secret_base64 } of vectors.keys.secrets) {
    const secret = Buffer.from(secret_base64, 'base64');
    expect(() => secretGatewayKeys([{ secret }])).toThrow('this secret is published');
    expect(() => secretGatewayKeys([{ secret, keyid: 'mine' }])).toThrow('this secret is published');
  }
  expect(() => secretGatewayKeys([{ secret: Buffer.alloc(32, 7), keyid: 'test-shared-secret' }])).toThrow('published');
});
