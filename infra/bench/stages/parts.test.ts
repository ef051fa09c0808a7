import { expect, test } from '@jest/globals';
import { type Parts, partsTable } from './parts.ts';

const round: Parts = {
  'bare in': 10,
  'bare out': 9,
  'upstream client': 30,
  'listener in': 25,
  sanitize: 1,
  match: 1,
  'authenticate, first sight': 90,
  'authenticate, cached': 2,
  authorize: 1,
  limit: 2,
  'sign, ed25519': 36,
  'sign, hmac-sha256': 6,
  'request out': 10,
  forward: 60,
  'response out': 15,
  log: 10,
  metrics: 2,
  'whole, ed25519': 170,
  'whole, hmac-sha256': 140,
  pipeline: 19,
  'bare call in': 11,
  'bare answer': 10,
  'whole, decision': 55,
};

const table = partsTable([round], ['ed25519', 'hmac-sha256']);
const medianOf = (part: string) =>
  Number(
    table
      .split('\n')
      .find((line) => line.startsWith(`| ${part} |`))
      ?.match(/\| ([\d.]+) \(/)?.[1],
  );

test.each([
  ['listener, in addition', 15],
  ['response in', 35],
  ['sign, ed25519', 36],
  ['sum, ed25519', 10 + 15 + 1 + 1 + 2 + 1 + 2 + 36 + 10 + 35 + 15 + 10 + 2],
  ['sum, hmac-sha256', 10 + 15 + 1 + 1 + 2 + 1 + 2 + 6 + 10 + 35 + 15 + 10 + 2],
  ['whole, hmac-sha256', 140],
  ['node:http reads a call of nginx and answers it', 21],
  ['sum, decision', 21 + 19],
  ['whole, decision', 55],
])('%s takes %p µs', (part, micros) => {
  expect(medianOf(part)).toBe(micros);
});

test('measures every part in the table', () => {
  expect(table).not.toContain('– (');
});
