import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isCanonicalBase64url, maxTokenLength, parseCompactToken } from './compact-token.ts';

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const header = part({ alg: 'ES256' });
const payload = part({ sub: 'u1' });

describe('a compact token', () => {
  test('is taken apart', () => {
    expect(parseCompactToken(`${header}.${payload}.AAAA`)).toEqual({
      header: { alg: 'ES256' },
      payload: { sub: 'u1' },
    });
  });

  test.each([
    ['one part', header, 'token_malformed'],
    ['two parts', `${header}.${payload}`, 'token_malformed'],
    ['four parts', `${header}.${payload}.AAAA.AAAA`, 'token_malformed'],
    ['five parts, as an encrypted one has', `${header}.a.b.c.d`, 'token_malformed'],
    ['an empty header', `.${payload}.AAAA`, 'token_malformed'],
    ['an empty payload', `${header}..AAAA`, 'token_malformed'],
    ['an empty signature', `${header}.${payload}.`, 'token_algorithm_refused'],
    ['padding', `${header}.${payload}.AAA=`, 'token_malformed'],
    ['the other base64 alphabet', `${header}.${payload}.AA+/`, 'token_malformed'],
    ['a length that no bytes have', `${header}.${payload}.AAAAA`, 'token_malformed'],
    ['unused bits that are set', `${header}.${payload}.AB`, 'token_malformed'],
    ['a line feed', `${header}.${payload}.AAAA\n`, 'token_malformed'],
    ['a header that is not JSON', `AAAA.${payload}.AAAA`, 'token_malformed'],
    [
      'a payload with a repeated name',
      `${header}.${Buffer.from('{"a":1,"a":2}').toString('base64url')}.AAAA`,
      'token_malformed',
    ],
    ['8 KiB and one more', `${header}.${payload}.${'A'.repeat(maxTokenLength)}`, 'token_too_large'],
  ])('is refused with %s', (_name, token, code) => {
    expect(() => parseCompactToken(token)).toThrow(expect.objectContaining({ code }));
  });
});

describe('canonical base64url', () => {
  test('is exactly what encoding gives back', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'ABQgwEIMUYcokso048_-xyz9'), maxLength: 9 }), (text) => {
        expect(isCanonicalBase64url(text)).toBe(Buffer.from(text, 'base64url').toString('base64url') === text);
      }),
    );
  });
});
