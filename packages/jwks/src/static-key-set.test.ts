import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { es256, rsa } from '../test/make-keys.ts';
import { fileKeySet, KeySetUnavailable, staticKeySet } from './index.ts';

const dir = mkdtempSync(join(tmpdir(), 'jwks-'));
afterAll(() => rmSync(dir, { recursive: true }));

test('holds the usable keys of a given set', async () => {
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

test('reads a file', () => {
  const path = join(dir, 'jwks.json');
  writeFileSync(path, JSON.stringify({ keys: [es256('a')] }));
  expect(fileKeySet(path, { algorithms: ['ES256'] }).find('a', 'ES256')).toBeDefined();
});

test.each(['{', 'null', '{"keys":[]}'])('refuses a file that holds %s', (content) => {
  const path = join(dir, 'bad.json');
  writeFileSync(path, content);
  expect(() => fileKeySet(path, { algorithms: ['ES256'] })).toThrow(KeySetUnavailable);
});

test('refuses a missing file', () => {
  expect(() => fileKeySet(join(dir, 'none.json'), { algorithms: ['ES256'] })).toThrow(KeySetUnavailable);
});
