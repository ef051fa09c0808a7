import { expect, test } from '@jest/globals';
import { parseCpuList } from './cores.ts';

test.each([
  ['0-3', [0, 1, 2, 3]],
  ['5', [5]],
  ['0,2-3,8', [0, 2, 3, 8]],
  ['', []],
])('reads the cores %p', (text, cores) => {
  expect(parseCpuList(text)).toEqual(cores);
});
