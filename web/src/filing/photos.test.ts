import { expect, test } from '@jest/globals';
import { fitWithin } from './photos.ts';

test.each([
  ['landscape', 4_000, 3_000, { width: 1_600, height: 1_200 }],
  ['portrait', 3_000, 4_000, { width: 1_200, height: 1_600 }],
  ['a photo that is small enough', 800, 600, { width: 800, height: 600 }],
  ['a thin panorama', 10_000, 1, { width: 1_600, height: 1 }],
])('%s is scaled to fit 1,600 pixels', (_name, width, height, expected) => {
  expect(fitWithin(width, height, 1_600)).toEqual(expected);
});
