import { expect, test } from '@jest/globals';
import { faults } from './faults.ts';
import { faultsIn } from './run-against.ts';

test.each(faults.map(([name]) => name))('finds a service in which %s', async (name) => {
  expect(await faultsIn(name)).not.toEqual([]);
});
