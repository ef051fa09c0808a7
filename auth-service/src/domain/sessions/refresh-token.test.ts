import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseKeyRing } from '../keys/key-ring.ts';
import { decodeRefreshToken, encodeRefreshToken, type RefreshToken } from './refresh-token.ts';

const ringText = (id: string, fill: number) => `${id}:${Buffer.alloc(32, fill).toString('base64url')}`;
const keys = parseKeyRing(`${ringText('new', 1)},${ringText('old', 2)}`);

const anyToken: fc.Arbitrary<RefreshToken> = fc.record({
  tenantId: fc.uuid(),
  sessionId: fc.uuid(),
  counter: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
  random: fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes)),
});

describe('a refresh token', () => {
  test('a refresh token round-trips its fields', () => {
    fc.assert(
      fc.property(anyToken, (token) => {
        expect(decodeRefreshToken(encodeRefreshToken(token, keys.current), keys)).toEqual(token);
      }),
    );
  });

  test('a refresh token is refused when any single character is changed', () => {
    fc.assert(
      fc.property(anyToken, fc.nat(), fc.constantFrom(...'ABCDWXYZabcdwxyz0189-_'), (token, at, character) => {
        const text = encodeRefreshToken(token, keys.current);
        const index = at % text.length;
        fc.pre(text[index] !== character);
        const changed = text.slice(0, index) + character + text.slice(index + 1);
        expect(decodeRefreshToken(changed, keys)).toBeUndefined();
      }),
    );
  });

  test('a text that this service did not issue is refused as a refresh token', () => {
    fc.assert(fc.property(fc.string(), (text) => expect(decodeRefreshToken(text, keys)).toBeUndefined()));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const text = Buffer.from([1, ...bytes]).toString('base64url');
        expect(decodeRefreshToken(text, keys)).toBeUndefined();
      }),
    );
  });

  const [token] = fc.sample(anyToken, 1);
  const made = token === undefined ? '' : encodeRefreshToken(token, keys.current);

  test.each([
    ['padded', `${made}=`],
    ['prefixed with a space', ` ${made}`],
    ['truncated', made.slice(0, -4)],
    ['extended', `${made}AAAA`],
    ['in standard base64', `${made}`.replace(/[-_]/, '+')],
    ['empty', ''],
  ])('a refresh token is refused when %s', (_, text) => {
    if (text !== made) expect(decodeRefreshToken(text, keys)).toBeUndefined();
  });

  test('a refresh token is valid until the key that issued it is removed', () => {
    if (token === undefined) throw new Error('no sample');
    const old = keys.find('old');
    const text = encodeRefreshToken(token, { id: 'old', bytes: old ?? new Uint8Array() });
    expect(decodeRefreshToken(text, keys)).toEqual(token);
    expect(decodeRefreshToken(text, parseKeyRing(ringText('new', 1)))).toBeUndefined();
  });
});
