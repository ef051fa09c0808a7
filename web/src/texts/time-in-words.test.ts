import { expect, test } from '@jest/globals';
import { timeInWords } from './time-in-words.ts';

const now = new Date('2026-05-10T12:00:00Z');

test.each([
  ['en', '2026-05-10T11:59:50Z', 'now'],
  ['en', '2026-05-10T09:30:00Z', '2 hours ago'],
  ['en', '2026-05-09T11:00:00Z', 'yesterday'],
  ['en', '2026-05-14T13:00:00Z', 'in 4 days'],
  ['en-GB', '2026-04-01T12:00:00Z', '1 Apr 2026'],
  ['de', '2026-05-10T11:20:00Z', 'vor 40 Minuten'],
  ['de', '2026-04-01T12:00:00Z', '1. Apr. 2026'],
])('in %s, %s reads "%s"', (language, time, words) => {
  expect(timeInWords(language, new Date(time), now)).toBe(words);
});
