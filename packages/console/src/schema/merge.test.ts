import { quantileOf } from '@countersign/process-kit';
import { describe, expect, test } from '@jest/globals';
import type { z } from 'zod';
import { refusalsView } from '../resources/routes.ts';
import { type Series, summarized, traffic } from '../resources/traffic.ts';
import { upstreamsView } from '../resources/upstreams.ts';
import { merge, worstFirst } from './merge.ts';

const zero = [0, 0, 0];
const seriesOf = (startMs: number, ok: number[]): Series => ({
  start: new Date(startMs).toISOString(),
  step_sec: 10,
  responses: { '1xx': zero, '2xx': ok, '3xx': zero, '4xx': zero, '5xx': zero, none: zero },
  failures: { caller: zero, configuration: zero, capacity: zero, upstream: zero, ours: zero, service: zero },
  durations: { bounds_ms: [1, 10], counts: [ok, zero, zero] },
});

describe('traffic from several workers', () => {
  test('is added slice by slice, even if one worker is a slice ahead', () => {
    const merged = merge(traffic, [
      summarized(seriesOf(0, [1, 2, 3]), 3_600_000),
      summarized(seriesOf(10_000, [20, 30, 40]), 3_600_000),
    ]);
    expect(merged.start).toBe('1970-01-01T00:00:10.000Z');
    expect(merged.responses['2xx']).toEqual([22, 33, 40]);
    expect(merged.durations.counts[0]).toEqual([22, 33, 40]);
  });

  test('has a rate over the time that the process has run', () => {
    const young = summarized(seriesOf(0, [0, 0, 30]), 5_000);
    expect(young.last_minute.requests_per_sec).toBe(6);
  });
});

describe('a quantile', () => {
  test.each([
    [0.5, [10, 0, 0], 0.5],
    [0.5, [5, 5, 0], 1],
    [0.95, [0, 10, 0], 9.55],
    [0.99, [0, 0, 3], 10],
    [0.5, [0, 0, 0], undefined],
  ])('of %d in %j is %p', (share, counts, expected) => {
    const value = quantileOf(share, counts, [1, 10]);
    if (expected === undefined) expect(value).toBeUndefined();
    else expect(value).toBeCloseTo(expected);
  });
});

test('merges the states of several workers into the worst one, since the first worker had it', () => {
  const states = [
    { state: 'up', since: '2026-01-01T00:00:00.000Z', why: null },
    { state: 'out', since: '2026-01-01T00:02:00.000Z', why: 'b' },
    { state: 'out', since: '2026-01-01T00:01:00.000Z', why: 'a' },
  ];
  expect(states.toSorted(worstFirst(['up', 'degraded', 'out']))[0]).toEqual(states[2]);
});

describe('an upstream with several workers', () => {
  const at = (second: number) => `2026-01-01T00:00:${String(second).padStart(2, '0')}.000Z`;
  type Requests = Readonly<{ success: number | null; failed?: readonly [since: number, last: number, count: number] }>;
  const workerOf = ({ success, failed }: Requests): z.output<(typeof upstreamsView)['responses'][200]> => {
    const state = { state: failed === undefined ? 'not checked' : 'failing', since: at(failed?.[0] ?? 0), why: null };
    const failing = failed && { since: at(failed[0]), last: at(failed[1]), code: 'ECONN', requests: failed[2] };
    return {
      upstreams: [
        {
          ...{ name: 'a', state, balance: 'round-robin', pending: 0, breaker: null, tls_trouble: null },
          retries: { made: 0, over_budget: 0 },
          identity: { algorithm: 'ed25519', headers: true, uses: 'ed25519', fallback: null },
          identity_token: null,
          latency_ms: { p50: null, p95: null, p99: null },
          durations: { bounds_ms: [1], counts: [[0], [0]] },
          targets: [
            {
              ...{ origin: 'http://a', state, pending: 0, ejections: 0, ejected_for_ms: 0, last_error: null },
              failing: failing ?? null,
              last_success: success === null ? null : at(success),
            },
          ],
        },
      ],
    };
  };
  const merged = (...workers: Requests[]) => merge(upstreamsView.responses[200], workers.map(workerOf)).upstreams[0];

  test.each<[string, Requests[], number, string]>([
    [
      'one worker, whose request failed last',
      [{ success: 1 }, { success: 2, failed: [5, 8, 2] }],
      5,
      '2 of 2 failed; last success 2026-01-01T00:00:02.000Z',
    ],
    [
      'both workers, since the first failure',
      [
        { success: 1, failed: [4, 9, 3] },
        { success: 2, failed: [5, 8, 2] },
      ],
      4,
      '5 of 5 failed; last success 2026-01-01T00:00:02.000Z',
    ],
    [
      'both workers, without any success',
      [{ success: null, failed: [4, 4, 1] }, { success: null }],
      4,
      '1 of 1 failed; none has succeeded',
    ],
    [
      "one worker, before the other's success and again after it",
      [{ success: 1, failed: [4, 9, 3] }, { success: 6 }],
      9,
      '1 of 1 failed; last success 2026-01-01T00:00:06.000Z',
    ],
  ])('is failing for %s', (_case, workers, since, why) => {
    const state = { state: 'failing', since: at(since), why: `ECONN; ${why}` };
    expect(merged(...workers)).toMatchObject({ state, targets: [{ state }] });
  });

  test('is not failing once a request from any worker succeeded', () => {
    const state = { state: 'not checked', since: at(0) };
    expect(merged({ success: 1, failed: [4, 9, 3] }, { success: 10 })).toMatchObject({
      state,
      targets: [{ state, failing: null }],
    });
  });
});

test('counts the refusals of several workers together, the most recent first', () => {
  const refusal = { code: 'no_route', fault: 'caller', status: 404, title: '' };
  const at = (route: string | null, count: number, second: number) => ({
    refusals: [{ ...refusal, route, count, last: `2026-01-01T00:00:0${second}.000Z` }],
  });
  expect(merge(refusalsView.responses[200], [at(null, 1, 3), at('a', 1, 4), at(null, 2, 5)])).toEqual({
    refusals: [...at(null, 3, 5).refusals, ...at('a', 1, 4).refusals],
  });
});
