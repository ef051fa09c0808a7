import { expect, test } from '@jest/globals';
import { faults } from './faults.ts';
import { faultsIn, reportOn } from './run-against.ts';

// At once, because each run waits for signatures to expire.
test.concurrent.each(faults.map(([name]) => name).filter((name) => !name.startsWith('the memory of nonces')))(
  'finds a service in which %s',
  async (name) => {
    expect(await faultsIn(name)).not.toEqual([]);
  },
);

test('finds that a service that has just started never looks at expires', async () => {
  expect(await faultsIn('signatures do not expire', { isOld: false })).toMatchObject([
    { name: 'expired: while the last byte of the body was awaited' },
  ]);
});

test('finds that a service that starts during the test accepts what it cannot have remembered', async () => {
  expect(await faultsIn('the memory of nonces begins at 0', { isOld: false }, true)).toMatchObject([
    { name: 'created_before_start: created before the service answered' },
  ]);
});

test('says that it cannot test the start of a service that runs already', async () => {
  const { leftOut } = await reportOn();
  expect([...leftOut.keys()]).toContain('a request from before its start: the service was running before this command');
});
