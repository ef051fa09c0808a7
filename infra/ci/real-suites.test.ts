import { expect, test } from '@jest/globals';
import { merged, missingSuites } from './real-suites.ts';

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
    file('infra', ['postgres']),
    file('packages/identity', ['redis']),
    file('gateway', ['redis']),
  ],
};

test('reports nothing if every workspace ran on its servers', () => {
  expect(missingSuites(whole)).toEqual([]);
});

test('reports a workspace whose real-server suite did not run, and skipped tests', () => {
  const lacking = {
    ...whole,
    numPendingTests: 2,
    testResults: whole.testResults.filter(({ name }) => !name.includes('gateway')),
  };
  expect(missingSuites(lacking)).toEqual(['gateway: nothing ran on redis', '2 tests were skipped']);
});

test('combines several runs', () => {
  const runs = whole.testResults.map((one) => ({ ...whole, numPendingTests: 1, testResults: [one] }));
  expect(missingSuites(merged(runs.slice(1)))).toEqual([
    'packages/database: nothing ran on postgres',
    '6 tests were skipped',
  ]);
  expect(missingSuites(merged(runs))).toEqual(['7 tests were skipped']);
});
