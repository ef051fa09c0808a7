import { describe, expect, test } from '@jest/globals';
import { parseKeyRing } from './key-ring.ts';

describe('a key ring', () => {
  const bytes = (fill: number) => Buffer.alloc(32, fill).toString('base64url');
  test('protects new values with the first key, and reads values with every key', () => {
    const ring = parseKeyRing(`new:${bytes(1)}, old:${bytes(2)}`);
    expect(ring.current.id).toBe('new');
    expect(ring.find('old')).toEqual(Buffer.alloc(32, 2));
    expect(ring.find('other')).toBeUndefined();
  });

  test.each([
    ['a missing id', bytes(1)],
    ['a short secret', `a:${bytes(1).slice(0, 40)}`],
    ['a repeated id', `a:${bytes(1)},a:${bytes(2)}`],
    ['an empty value', ''],
  ])('refuses %s, without key material in the message', (_, text) => {
    expect(() => parseKeyRing(text)).toThrow(/form|same id/);
    expect(() => parseKeyRing(text)).not.toThrow(new RegExp(bytes(1).slice(0, 20)));
  });
});
