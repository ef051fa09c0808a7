import { describe, expect, test } from '@jest/globals';
import { exampleHead } from '../../test/kit/example-config.ts';
import { problemsOf } from '../../test/kit/problems-of.ts';
import { createRestartDelay } from './supervised-worker.ts';

test('doubles the restart delay up to 30 s, and starts over after a worker ran for a minute', () => {
  const delay = createRestartDelay();
  expect([0, 0, 0, 0, 0, 0, 0, 0, 0].map(delay)).toEqual([
    250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000,
  ]);
  expect([60_000, 0].map(delay)).toEqual([250, 500]);
});

describe('several workers', () => {
  const route = (more: string) =>
    `routes:\n  - { name: r, path: /r, methods: [GET], upstream: users-service, ${more} }\n`;
  const plain = route('auth: required');

  const problemsWith = (workers: number, yaml: string) => problemsOf(exampleHead + yaml, {}, { workers });

  test.each([
    ['a limit', route('auth: required, limits: [{ requests: 1, per: 1m, by: user }]'), /limits for r separately/],
    ['calling services', `${plain}services: { a-service: { keys: ./a.json } }\n`, /remember calls from a-service/],
    ['DPoP', `${plain}publicOrigins: ["https://api.example.test"]\n`, /DPoP proofs for r/],
  ])('need redis with %s', (_name, yaml, problem) => {
    const [found, ...more] = problemsWith(2, yaml);
    expect(more).toEqual([]);
    expect(found).toMatch(problem);
    expect(problemsWith(1, yaml)).toEqual([]);
    expect(problemsWith(2, `${yaml}redis: redis://127.0.0.1:6379\n`)).toEqual([]);
  });

  test('need no redis if nothing is shared', () => {
    expect(problemsWith(8, plain)).toEqual([]);
    expect(problemsWith(8, 'publicOrigins: ["https://api.example.test"]\n')).toEqual([
      expect.stringMatching(/"routes" is required/),
    ]);
  });

  test('report a missing redis together with other problems, but not together with a malformed redis', () => {
    const yaml = route('auth: unknown, limits: [{ requests: 1, per: 1m, by: user }]');
    expect(problemsWith(2, yaml)).toEqual([
      expect.stringMatching(/"redis" is required with 2 workers/),
      expect.stringMatching(/routes\[0\]\.auth: must be one of/),
    ]);
    expect(problemsWith(2, `${plain}redis: nonsense\n`)).toEqual([expect.stringMatching(/: redis: must be/)]);
  });
});
