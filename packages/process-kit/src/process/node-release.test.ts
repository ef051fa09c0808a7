import { expect, test } from '@jest/globals';
import { saferNodeRelease, unsupportedNode } from './node-release.ts';

test.each([
  ['26.12.1', undefined],
  ['26.13.0', undefined],
  ['27.0.0', undefined],
  ['24.22.1', undefined],
  ['26.10.0', '26.12.1'],
  ['26.12.0', '26.12.1'],
  ['25.9.9', '26.12.1'],
  ['24.21.0', '24.22.1'],
  ['23.99.0', '24.22.1'],
  ['22.23.3', '22.23.4'],
  ['20.20.0', '22.23.4'],
])('the upgrade for Node.js %s is %s', (version, wanted) => {
  expect(saferNodeRelease(version)).toBe(wanted);
});

test.each(['22.19.0', '22.23.3', '24.0.0', '26.0.0', '27.1.0'])('runs on Node.js %s', (version) => {
  expect(unsupportedNode(version)).toBeUndefined();
});

test.each(['18.20.0', '20.20.2', '22.18.0', '23.11.0', '25.9.0'])('does not run on Node.js %s', (version) => {
  expect(unsupportedNode(version)).toBe(`needs Node.js 22 (from 22.19), 24, or 26 and later, but this is ${version}`);
});
