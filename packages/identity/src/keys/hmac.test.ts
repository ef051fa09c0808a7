import { createHmac } from 'node:crypto';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { HmacSha256 } from './hmac.ts';

test("computes the same as node's HMAC, for keys and texts of any length", () => {
  const lengths = [0, 1, 63, 64, 65, 4_095, 4_096, 4_097, 20_000];
  const text = fc.oneof(
    fc.string({ unit: 'binary-ascii', maxLength: 300 }),
    fc.constantFrom(...lengths).map((length) => 'a\xff'.repeat(length).slice(0, length)),
  );
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 130 }), fc.array(text, { minLength: 1 }), (secret, texts) => {
      const hmac = new HmacSha256(secret);
      // In turn, because a key keeps its buffer.
      for (const each of texts) {
        const expected = createHmac('sha256', secret).update(each, 'latin1').digest();
        expect(hmac.bytes(each)).toEqual(expected);
        expect(hmac.base64(each)).toBe(expected.toString('base64'));
      }
    }),
  );
});
