import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isBase64url } from './base64url.ts';

const endsWithZeroBits = [/$/, /^\b$/, /[AQgw]$/, /[AEIMQUYcgkosw048]$/];

describe('canonical base64url', () => {
  test('is exactly the text that encoding produces, with unused bits set to zero', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'ABQgwEIMUYcokso048_-xyz9+/= é'), maxLength: 9 }), (text) => {
        const fits = /^[A-Za-z0-9_-]+$/.test(text) && endsWithZeroBits[text.length % 4]?.test(text);
        expect(isBase64url(text)).toBe(fits === true);
      }),
    );
  });

  test('has the required number of bytes', () => {
    const text = Buffer.alloc(32).toString('base64url');
    expect([isBase64url(text, 32), isBase64url(text, 31), isBase64url(`${text}A`, 32)]).toEqual([true, false, false]);
  });

  test.each([undefined, null, 7, '', [], {}])('is not %j', (value) => {
    expect(isBase64url(value)).toBe(false);
  });
});
