import { availableParallelism } from 'node:os';
import { describe, expect, test } from '@jest/globals';
import { exampleHead } from '../../test/kit/example-config.ts';
import { problemsOf } from '../../test/kit/problems-of.ts';
import { createRestartDelay } from './restart-delay.ts';
import { parseWorkerCount } from './worker-count.ts';

test.each([
  ['1', 1],
  ['16', 16],
  ['256', 256],
  ['all', availableParallelism()],
  ['0', undefined],
  ['257', undefined],
  ['1.5', undefined],
  ['-1', undefined],
  ['', undefined],
  ['two', undefined],
  ['1e2', undefined],
  ['Infinity', undefined],
])('--workers %s is %s', (text, count) => {
  expect(parseWorkerCount(text)).toBe(count);
});

test('a worker that ends again and again is started less and less often, one that lived is started soon', () => {
  const delay = createRestartDelay();
  expect([0, 0, 0, 0, 0, 0, 0, 0, 0].map(delay.after)).toEqual([
    250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000,
  ]);
  expect([60_000, 0].map(delay.after)).toEqual([250, 500]);
});

describe('more than one worker', () => {
  const route = (more: string) =>
    `routes:\n  - { name: r, path: /r, methods: [GET], upstream: users-service, ${more} }\n`;
  const plain = route('auth: required');

  const problemsWith = (workers: number, yaml: string) => problemsOf(exampleHead + yaml, {}, { workers });

  test.each([
    ['a limit', route('auth: required, limits: [{ requests: 1, per: 1m, by: user }]'), /limits of r for itself/],
    ['services that call', `${plain}services: { a-service: { keys: ./a.json } }\n`, /calls of a-service were made/],
    ['DPoP', `${plain}publicOrigins: ["https://api.example.test"]\n`, /DPoP proofs r took/],
  ])('with %s need redis', (_name, yaml, problem) => {
    const [found, ...more] = problemsWith(2, yaml);
    expect(more).toEqual([]);
    expect(found).toMatch(problem);
    expect(problemsWith(1, yaml)).toEqual([]);
    expect(problemsWith(2, `${yaml}redis: redis://127.0.0.1:6379\n`)).toEqual([]);
  });

  test('need none where there is nothing to share', () => {
    expect(problemsWith(8, plain)).toEqual([]);
    expect(problemsWith(8, 'publicOrigins: ["https://api.example.test"]\n')).toEqual([
      expect.stringMatching(/"routes" is required/),
    ]);
  });

  test('are told with everything else that is wrong, and not of a redis that is malformed', () => {
    const yaml = route('auth: nobody, limits: [{ requests: 1, per: 1m, by: user }]');
    expect(problemsWith(2, yaml)).toEqual([
      expect.stringMatching(/"redis" is required with 2 workers/),
      expect.stringMatching(/routes\[0\]\.auth: must be one of/),
    ]);
    expect(problemsWith(2, `${plain}redis: nonsense\n`)).toEqual([expect.stringMatching(/: redis: must be/)]);
  });
});
