import { expect, test } from '@jest/globals';
import { createStalledAnswers } from './stalled-answers.ts';

test('the answer that has stalled longest is cut off first, and none that stalls only now', () => {
  let nowMs = 0;
  const stalled = createStalledAnswers(() => nowMs);
  const ended: string[] = [];
  stalled.add(() => ended.push('first'));
  const readsOn = stalled.add(() => ended.push('reads on'));
  nowMs = 500;
  stalled.add(() => ended.push('last'));
  stalled.endOldest();
  expect(ended).toEqual([]);
  readsOn();
  nowMs = 1_000;
  for (let count = 0; count < 3; count += 1) stalled.endOldest();
  expect(ended).toEqual(['first']);
  nowMs = 1_500;
  for (let count = 0; count < 3; count += 1) stalled.endOldest();
  expect(ended).toEqual(['first', 'last']);
});
