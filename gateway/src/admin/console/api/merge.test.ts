import { describe, expect, test } from '@jest/globals';
import type { TrafficSeries } from '../../../telemetry/traffic-history.ts';
import { StateHistory } from '../observe/state-history.ts';
import { quantileOf } from './quantile.ts';
import { refusalsView } from './refusals.ts';
import { outcomeOf } from './requests.ts';
import { describeTraffic, mergeTraffic } from './traffic.ts';
import { worst } from './values.ts';

const zero = [0, 0, 0];
const seriesOf = (startMs: number, ok: readonly number[]): TrafficSeries => ({
  startMs,
  stepMs: 10_000,
  responses: { '1xx': zero, '2xx': ok, '3xx': zero, '4xx': zero, '5xx': zero, none: zero },
  failures: { caller: zero, configuration: zero, capacity: zero, upstream: zero, ours: zero, service: zero },
  boundsMs: [1, 10],
  durations: [ok, zero, zero],
});

describe('the traffic of several workers', () => {
  test('is added slice by slice, also when one of them is a slice ahead', () => {
    const merged = mergeTraffic([
      describeTraffic(seriesOf(0, [1, 2, 3]), 3_600_000),
      describeTraffic(seriesOf(10_000, [20, 30, 40]), 3_600_000),
    ]);
    expect(merged.start).toBe('1970-01-01T00:00:10.000Z');
    expect(merged.responses['2xx']).toEqual([22, 33, 40]);
    expect(merged.durations.counts[0]).toEqual([22, 33, 40]);
  });

  test('has a rate over the time that the process runs', () => {
    const young = describeTraffic(seriesOf(0, [0, 0, 30]), 5_000);
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

test('the state of several workers is the worst one, since the first of them had it', () => {
  const states = [
    { state: 'up', since: '2026-01-01T00:00:00.000Z', why: null },
    { state: 'out', since: '2026-01-01T00:02:00.000Z', why: 'b' },
    { state: 'out', since: '2026-01-01T00:01:00.000Z', why: 'a' },
  ];
  expect(worst(states, ['up', 'degraded', 'out'])).toEqual(states[2]);
});

test.each([
  ['failed', { code: 'upstream_timeout', fault: 'upstream', status: 504 }],
  ['failed', { code: null, fault: null, status: 500 }],
  ['failed', { code: null, fault: null, status: 0 }],
  ['refused', { code: 'insufficient_role', fault: 'caller', status: 403 }],
  ['served', { code: null, fault: null, status: 200 }],
])('the outcome is %s for %j', (outcome, request) => {
  expect(outcomeOf({ ...request, aborted: false })).toBe(outcome);
});

test('the refusals of several workers are counted together, the last ones first', () => {
  const refusal = { code: 'no_route', fault: 'caller', status: 404, title: '' };
  const at = (route: string | null, count: number, second: number) => ({
    refusals: [{ ...refusal, route, count, last: `2026-01-01T00:00:0${second}.000Z` }],
  });
  expect(refusalsView.merge([at(null, 1, 3), at('a', 1, 4), at(null, 2, 5)], {})).toEqual({
    refusals: [...at(null, 3, 5).refusals, ...at('a', 1, 4).refusals],
  });
});

describe('the history of states', () => {
  const upstream = (state: string, why?: string) => [{ kind: 'upstream', name: 'a', state, why }];

  test('knows since when a state holds, and what it was before', () => {
    const history = new StateHistory();
    history.observe(upstream('up'), 1);
    history.observe(upstream('up'), 2);
    expect(history.of('upstream', 'a')).toEqual({ state: 'up', sinceMs: 1, why: undefined });
    history.observe(upstream('out', 'ECONNREFUSED'), 3);
    expect(history.of('upstream', 'a')).toEqual({ state: 'out', sinceMs: 3, why: 'ECONNREFUSED' });
    expect(history.changes()).toEqual([
      { atMs: 3, kind: 'upstream', name: 'a', from: 'up', to: 'out', why: 'ECONNREFUSED' },
    ]);
  });

  test('keeps the last 20 changes of each part, whatever the others do', () => {
    const history = new StateHistory();
    history.observe([...upstream('up'), { kind: 'upstream', name: 'b', state: 'up' }], 1);
    for (let at = 2; at < 500; at += 1) {
      history.observe([...upstream(at % 2 === 0 ? 'out' : 'up'), { kind: 'upstream', name: 'b', state: 'out' }], at);
    }
    const changes = history.changes();
    expect(changes.map(({ atMs }) => atMs)).toEqual([...Array.from({ length: 20 }, (_, back) => 499 - back), 2]);
    expect(changes.at(-1)).toMatchObject({ name: 'b', from: 'up', to: 'out' });
  });

  test('forgets a part that a reload removed', () => {
    const history = new StateHistory();
    history.observe(upstream('up'), 1);
    history.observe([], 2);
    expect(history.of('upstream', 'a')).toBeUndefined();
  });
});
