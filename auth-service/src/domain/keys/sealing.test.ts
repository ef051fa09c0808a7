import { describe, expect, test } from '@jest/globals';
import { seal, unseal } from './sealing.ts';

describe('sealing', () => {
  const key = Buffer.alloc(32, 7);
  const sealed = seal(key, Buffer.from('secret'), 'kid-1');

  test('decrypts only with the same key and context', () => {
    expect(unseal(key, sealed, 'kid-1')?.toString()).toBe('secret');
    expect(unseal(key, sealed, 'kid-2')).toBeUndefined();
    expect(unseal(Buffer.alloc(32, 8), sealed, 'kid-1')).toBeUndefined();
    expect(unseal(key, sealed.subarray(0, 20), 'kid-1')).toBeUndefined();
  });
});
