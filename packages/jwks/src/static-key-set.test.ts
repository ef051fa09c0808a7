import { expect, test } from '@jest/globals';
import { es256, rsa } from '../test/make-keys.ts';
import { KeySetUnavailable, staticKeySet } from './index.ts';

test("holds a given set's usable keys", async () => {
  const ignored: unknown[] = [];
  const onIgnored = (key: unknown) => ignored.push(key);
  const set = staticKeySet({ keys: [es256('a'), rsa('b', 1024)] }, { algorithms: ['ES256', 'RS256'], onIgnored });
  expect(set.find('a', 'ES256')).toBeDefined();
  expect(await set.lookup('b', 'RS256')).toBeUndefined();
  expect(ignored).toEqual([{ kid: 'b', reason: 'weak' }]);
  expect(set).toMatchObject({ ready: true, generation: 1 });
});

test('refuses a set without a usable key', () => {
  expect(() => staticKeySet({ keys: [] }, { algorithms: ['ES256'] })).toThrow(KeySetUnavailable);
});
