import { expect, test } from '@jest/globals';
import { IdentityRefused } from '../index.ts';
import { problemForError } from './problem.ts';

// Node's parser refuses such a request line. Other servers pass it on.
test('a byte from 0x80 in the path is the character with the same number', () => {
  const error = new IdentityRefused('target_malformed');
  const { body = '' } = problemForError(error, { target: '/caf\u00c3\u00a9?q', requestId: undefined }) ?? {};
  expect(JSON.parse(body).instance).toBe('/caf\u00c3\u00a9');
});
