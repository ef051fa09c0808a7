import { describe, expect, test } from '@jest/globals';
import { parseKeyRing } from './key-ring.ts';

describe('a key ring', () => {
  const bytes = (fill: number) => Buffer.alloc(32, fill).toString('base64url');
  test('protects with the first key, and reads with all', () => {
    const ring = parseKeyRing(`new:${bytes(1)}, old:${bytes(2)}`);
    expect(ring.current.id).toBe('new');
    expect(ring.find('old')).toEqual(Buffer.alloc(32, 2));
    expect(ring.find('other')).toBeUndefined();
  });

  test.each([
    ['no id', bytes(1)],
    ['too short', `a:${bytes(1).slice(0, 40)}`],
    ['twice the same id', `a:${bytes(1)},a:${bytes(2)}`],
    ['empty', ''],
  ])('with %s is refused, and the message holds nothing of it', (_, text) => {
    expect(() => parseKeyRing(text)).toThrow(/form|same id/);
    expect(() => parseKeyRing(text)).not.toThrow(new RegExp(bytes(1).slice(0, 20)));
  });
});
