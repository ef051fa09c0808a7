import { expect, test } from '@jest/globals';
import { canonicalEmail } from './account-rules.ts';

test.each([
  ['Agent@ACME.test', 'agent@acme.test'],
  ['Zoe\u0308@acme.test', 'zoë@acme.test'],
  [' agent@acme.test', ' agent@acme.test'],
])('%j is stored and looked up as %j', (given, canonical) => {
  expect(canonicalEmail(given)).toBe(canonical);
  expect(canonicalEmail(canonical)).toBe(canonical);
});
