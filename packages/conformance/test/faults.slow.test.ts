import { expect, test } from '@jest/globals';
import { faults } from './faults.ts';
import { faultsIn } from './run-against.ts';

test.each(faults.map(([name]) => name))('finds a service in which %s', async (name) => {
  expect(await faultsIn(name)).not.toEqual([]);
});

test('finds that a service that has just started never looks at expires', async () => {
  expect(await faultsIn('signatures do not expire', { isOld: false })).toMatchObject([
    { name: 'expired: a signature of one second, created after the start' },
  ]);
});
