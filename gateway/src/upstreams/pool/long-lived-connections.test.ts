import { expect, test } from '@jest/globals';
import { StalledResponses } from './long-lived-connections.ts';

test('first ends the response that has stalled longest, and never one that stalled a moment ago', () => {
  let nowMs = 0;
  const stalled = new StalledResponses(() => nowMs);
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
