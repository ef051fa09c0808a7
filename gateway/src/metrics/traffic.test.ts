import { createMetrics } from '@countersign/process-kit';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { RequestRecord } from '../pipeline/request-record.ts';
import { createRequestMetrics } from './metrics.ts';
import { RecentRequests, Traffic } from './traffic.ts';

function recordOf(fields: Partial<RequestRecord>): RequestRecord {
  return Object.assign(new RequestRecord('id', 'GET', '/', 0), fields);
}

describe('recent requests', () => {
  test('keeps the most recent requests, newest first', () => {
    const recent = new RecentRequests(3);
    for (let count = 1; count <= 5; count += 1) {
      recent.keep(recordOf({ requestId: String(count) }));
      const first = Math.max(1, count - 2);
      const expected = Array.from({ length: count - first + 1 }, (_, back) => String(count - back));
      expect(recent.newestFirst().map(({ requestId }) => requestId)).toEqual(expected);
    }
  });

  test('keeps the record itself, not a copy', () => {
    const recent = new RecentRequests(2);
    const record = recordOf({});
    recent.keep(record);
    expect(recent.newestFirst()[0]).toBe(record);
  });
});

describe('the traffic of a process', () => {
  let nowMs: number;
  let traffic: Traffic;
  let finish: (fields: Partial<RequestRecord>, status: number, durationMs?: number) => void;
  beforeEach(() => {
    nowMs = 3_600_000;
    const metrics = createRequestMetrics(createMetrics());
    traffic = new Traffic(metrics, () => nowMs);
    finish = (fields, status, durationMs = 3) => {
      const record = recordOf({ ...fields, durationMs });
      metrics.count(record, status);
      traffic.keep(record, status);
    };
  });
  const refusedIds = () => traffic.refused.flatMap((ring) => ring.newestFirst().map(({ requestId }) => requestId));
  const totals = (lists: Readonly<Record<string, readonly number[]>>) =>
    Object.fromEntries(
      Object.entries(lists).flatMap(([name, list]) => {
        const total = list.reduce((sum, count) => sum + count, 0);
        return total === 0 ? [] : [[name, total]];
      }),
    );

  test('counts responses by class, and failures by fault', () => {
    finish({ route: 'a' }, 200);
    finish({ route: 'a' }, 500);
    finish({ route: 'a', code: 'insufficient_role', fault: 'caller' }, 403);
    finish({ route: 'b', code: 'upstream_timeout', fault: 'upstream' }, 504);
    const all = traffic.history.ofProcess(nowMs);
    expect(totals(all.responses)).toEqual({ '2xx': 1, '4xx': 1, '5xx': 2 });
    // The 504 comes from the gateway, the 500 from the service.
    expect(totals(all.failures)).toEqual({ caller: 1, upstream: 1, service: 1 });
    expect(totals(traffic.history.ofRoute('b', nowMs).failures)).toEqual({ upstream: 1 });
  });

  test('counts a request once, however often the counts are read', () => {
    finish({ route: 'a' }, 200);
    traffic.history.sample(nowMs);
    nowMs += 60_000;
    traffic.history.sample(nowMs);
    finish({ route: 'a' }, 200);
    expect(totals(traffic.history.ofProcess(nowMs).responses)).toEqual({ '2xx': 2 });
    nowMs += 3_590_000;
    expect(totals(traffic.history.ofProcess(nowMs).responses)).toEqual({ '2xx': 1 });
    expect(traffic.history.statuses().get('a')?.get('200')).toBe(2);
  });

  test("excludes a stream's lifetime from the latency, but counts its request", () => {
    finish({ route: 'a' }, 200, 4);
    finish({ route: 'a', isStream: true }, 200, 3_000_000);
    finish({ route: 'a', isStream: true }, 101, 3_000_000);
    const { responses, durations } = traffic.history.ofProcess(nowMs);
    expect(totals(responses)).toEqual({ '2xx': 2, '1xx': 1 });
    expect(durations.counts.flat().reduce((sum, count) => sum + count)).toBe(1);
    expect(traffic.history.statuses().get('a')).toEqual(
      new Map([
        ['200', 2],
        ['101', 1],
      ]),
    );
  });

  test('keeps refusals when many requests follow', () => {
    finish({ requestId: 'refused', code: 'no_route', fault: 'caller' }, 404);
    for (let count = 0; count < 600; count += 1) finish({}, 200);
    expect(traffic.recent.newestFirst().some(({ requestId }) => requestId === 'refused')).toBe(false);
    expect(refusedIds()).toEqual(['refused']);
  });

  test('keeps refusals of identified callers even if anonymous clients cause many others', () => {
    const caller = 'caller';
    finish({ requestId: 'r1', route: 'a', identity: 'user', code: 'insufficient_role', fault: caller }, 403);
    finish({ requestId: 'r2', route: 'a', identity: 'user', code: 'upstream_timeout', fault: 'upstream' }, 504);
    for (let count = 0; count < 600; count += 1) {
      finish({ code: 'no_route', fault: caller }, 404);
      finish({ route: 'a', code: 'token_malformed', fault: caller }, 401);
      finish({ route: 'a', identity: 'anonymous', code: 'rate_limited', fault: caller }, 429);
      finish({ route: 'a', identity: 'user', code: 'rate_limited', fault: caller }, 429);
    }
    expect(refusedIds()).toEqual(expect.arrayContaining(['r1', 'r2']));
    expect(refusedIds().length).toBeLessThanOrEqual(1_000);
  });

  test('remembers which caller a limit refused, and since when', () => {
    const limited = {
      route: 'a',
      rule: 'limits: user',
      code: 'rate_limited',
      fault: 'caller',
      claims: { userId: 'u1', tenantId: 'acme' } as RequestRecord['claims'],
      limits: ['ratelimit-policy', '"user";q=2;w=60', 'ratelimit', '"user";r=0;t=42'],
    };
    finish({ ...limited, address: '192.0.2.1' }, 429);
    nowMs += 1_000;
    finish({ ...limited, address: '192.0.2.2' }, 429);
    expect(traffic.refusals.limited()).toMatchObject([
      { limit: 'user', userId: 'u1', refused: 2, sinceMs: 3_600_000, untilMs: 3_643_000 },
    ]);
    nowMs += 100_000;
    finish({ ...limited, address: '192.0.2.2' }, 429);
    expect(traffic.refusals.limited()).toMatchObject([{ refused: 1, sinceMs: 3_701_000 }]);
  });
});
