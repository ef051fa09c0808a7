import { quantileOf } from '@countersign/service-kit';
import { z } from 'zod';
import type { TrafficSeries } from '../../metrics/traffic-history.ts';
import { added, combine, eachMember, first, latest, mapped, type Rule, sum } from './merge.ts';
import { count, time, timeOf } from './values.ts';
import { defineView } from './view.ts';

const perSlice = z.array(count).describe('One number for each slice, the oldest first.');
const ms = z.number().nullable();

const responses = z.object({
  '1xx': perSlice,
  '2xx': perSlice,
  '3xx': perSlice,
  '4xx': perSlice,
  '5xx': perSlice,
  none: perSlice,
});
const failures = z
  .object({
    caller: perSlice,
    configuration: perSlice,
    capacity: perSlice,
    upstream: perSlice,
    ours: perSlice,
    service: perSlice.describe('Responses with 5xx of the services themselves.'),
  })
  .describe('Refusals of the gateway by fault, and failures of services.');

export const durations = z
  .object({
    bounds_ms: z.array(z.number()).describe('The upper bounds of the buckets.'),
    counts: z.array(perSlice).describe('For each bucket, and a last one for longer requests.'),
  })
  .meta({ id: 'Durations' });
export type Durations = z.output<typeof durations>;

const latency = z
  .object({ p50: ms, p95: ms, p99: ms })
  .meta({ id: 'Latency' })
  .describe('Milliseconds, interpolated in buckets.');
export type Latency = z.output<typeof latency>;

export const traffic = z
  .object({
    start: time.describe('The start of the oldest slice.'),
    step_sec: z.number(),
    responses,
    failures,
    durations,
    last_minute: z.object({
      requests_per_sec: z.number(),
      failures_per_sec: z.record(z.string(), z.number()),
      latency_ms: latency,
    }),
    last_hour: z.object({ requests: count, failures: z.record(z.string(), z.number()), latency_ms: latency }),
  })
  .meta({ id: 'Traffic' })
  .describe('The last hour in slices. The last slice has not ended.');
export type TrafficView = z.output<typeof traffic>;

export type Series = Pick<TrafficView, 'start' | 'step_sec' | 'responses' | 'failures' | 'durations'>;

export const trafficView = defineView({
  path: '/traffic',
  operationId: 'readTraffic',
  tag: 'Traffic',
  summary: 'The traffic of the last hour',
  response: traffic,
  read: ({ traffic: { history }, nowMs, startedAtMs }) =>
    describeTraffic(history.ofProcess(nowMs()), nowMs() - startedAtMs),
  merge: (parts) => mergeTraffic(parts),
});

/** @param aliveMs How long the process has run, for rates. */
export function describeTraffic(series: TrafficSeries, aliveMs: number): TrafficView {
  const { startMs, stepMs, responses: byClass, failures: byFault, durations: counts, boundsMs } = series;
  return summarized(
    {
      start: timeOf(startMs),
      step_sec: stepMs / 1000,
      responses: mapped(byClass, (list) => [...list]),
      failures: mapped(byFault, (list) => [...list]),
      durations: { bounds_ms: [...boundsMs], counts: counts.map((list) => [...list]) },
    },
    aliveMs,
  );
}

/** Adds up the traffic of processes. Their slices start at the same times, so a process that is one slice ahead loses its oldest. */
export const mergeTraffic: Rule<TrafficView> = (parts) => {
  const start = latest(parts.map((part) => part.start));
  const merged = combine<TrafficView>({
    responses: eachMember(added),
    failures: eachMember(added),
    durations: mergeDurations,
  })(parts.map((part) => shifted(part, (Date.parse(start) - Date.parse(part.start)) / 1000 / part.step_sec)));
  const { last_minute, last_hour } = summarized({ ...merged, start }, Number.POSITIVE_INFINITY);
  const minutes = parts.map((part) => part.last_minute);
  const rates = combine<TrafficView['last_minute']>({ requests_per_sec: sum, failures_per_sec: eachMember(sum) });
  return { ...merged, start, last_minute: { ...rates(minutes), latency_ms: last_minute.latency_ms }, last_hour };
};

export const mergeDurations: Rule<Durations> = combine({
  counts: (all) => first(all).map((_, bucket) => added(all.map((counts) => counts[bucket] ?? []))),
});

function shifted(part: TrafficView, by: number): TrafficView {
  if (by === 0) return part;
  const shift = (list: readonly number[]) => [...list.slice(by), ...new Array<number>(by).fill(0)];
  return {
    ...part,
    responses: mapped(part.responses, shift),
    failures: mapped(part.failures, shift),
    durations: { ...part.durations, counts: part.durations.counts.map(shift) },
  };
}

function summarized(series: Series, aliveMs: number): TrafficView {
  const { step_sec, responses: byClass, failures: byFault, durations: all } = series;
  const slices = Math.max(1, Math.round(60 / step_sec));
  const length = byClass['2xx'].length;
  // Without the current slice, which has not ended. A young process has no other.
  const isYoung = aliveMs < 2 * step_sec * 1000;
  const end = isYoung ? length : length - 1;
  const seconds = Math.max(1, Math.min(slices * step_sec, aliveMs / 1000));
  const recent = (list: readonly number[]) => sum(list.slice(Math.max(0, end - slices), end));
  return {
    ...series,
    last_minute: {
      requests_per_sec: sum(Object.values(byClass).map(recent)) / seconds,
      failures_per_sec: mapped(byFault, (list) => recent(list) / seconds),
      latency_ms: latencyOf(all, recent),
    },
    last_hour: {
      requests: sum(Object.values(byClass).map(sum)),
      failures: mapped(byFault, sum),
      latency_ms: latencyOf(all, sum),
    },
  };
}

/** @param over Adds up the slices that count. */
export function latencyOf({ bounds_ms, counts }: Durations, over: (list: readonly number[]) => number): Latency {
  const totals = counts.map(over);
  const at = (share: number) => quantileOf(share, totals, bounds_ms) ?? null;
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99) };
}
