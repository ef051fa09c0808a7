import { expect, test } from '@jest/globals';
import { missingSuites } from './real-suites.ts';

const file = (workspace: string, titles: string[]) => ({
  name: `/repo/${workspace}/test/x.int.test.ts`,
  assertionResults: titles.map((title) => ({
    status: 'passed',
    ancestorTitles: [`a store on ${title}`],
    title: 'keeps',
  })),
});
const whole = {
  numPassedTests: 9,
  numFailedTests: 0,
  numPendingTests: 0,
  testResults: [
    file('packages/database', ['postgres']),
    file('auth-service', ['postgres', 'redis']),
    file('users-service', ['postgres']),
    file('complaint-service', ['postgres']),
    file('packages/identity', ['redis']),
    file('gateway', ['redis']),
  ],
};

test('reports nothing if every workspace of the part ran on its servers', () => {
  expect(missingSuites('servers', whole)).toEqual([]);
  expect(missingSuites('stacks', { ...whole, testResults: [file('infra', ['postgres'])] })).toEqual([]);
});

test('reports a workspace whose real-server suite did not run, and skipped tests', () => {
  const lacking = {
    ...whole,
    numPendingTests: 2,
    testResults: whole.testResults.filter(({ name }) => !name.includes('gateway')),
  };
  expect(missingSuites('servers', lacking)).toEqual(['gateway: nothing ran on redis', '2 tests were skipped']);
  expect(missingSuites('stacks', whole)).toEqual(['infra: nothing ran on postgres']);
});
