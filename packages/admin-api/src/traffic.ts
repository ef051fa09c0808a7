import { quantileOf } from '@countersign/service-kit';
import { z } from 'zod';
import { first, latest, merge, mergedBy, sum } from './merge.ts';
import { count, ms, time } from './values.ts';

const perSlice = z.array(count).describe('One number per slice, oldest first.');

/** `none` means that the client disconnected before the response started. */
export const responseClasses = ['1xx', '2xx', '3xx', '4xx', '5xx', 'none'] as const;
/** Whose fault a refusal is. `service` counts the services' own 5xx responses. */
export const failureKinds = ['caller', 'configuration', 'capacity', 'upstream', 'ours', 'service'] as const;

const sliced = <Name extends string>(names: readonly Name[]) =>
  z.object(Object.fromEntries(names.map((name) => [name, perSlice])) as Record<Name, typeof perSlice>);
const responses = sliced(responseClasses).describe(
  'Responses by status class. `none` means that the client disconnected.',
);
const failures = sliced(failureKinds).describe(
  "The gateway's refusals by fault. `service` counts the services' own 5xx responses.",
);

export const durations = mergedBy(
  z
    .object({
      bounds_ms: z.array(z.number()).describe("The buckets' upper bounds."),
      counts: z.array(perSlice).describe('The counts per bucket. The last bucket is for longer requests.'),
    })
    .meta({ id: 'Durations' }),
  (parts) => ({
    ...first(parts),
    counts: first(parts).counts.map((_, bucket) => added(parts.map(({ counts }) => counts[bucket] ?? []))),
  }),
);
export type Durations = z.output<typeof durations>;

const latency = z
  .object({ p50: ms, p95: ms, p99: ms })
  .meta({ id: 'Latency' })
  .describe('Latency in milliseconds, interpolated within buckets.');

export const traffic = z
  .object({
    start: time.describe('When the oldest slice starts.'),
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
  .describe('The last hour in slices. The last slice has not ended yet.');
export type Traffic = z.output<typeof traffic>;

/** The counts in each slice. */
export type Series = Pick<Traffic, 'start' | 'step_sec' | 'responses' | 'failures' | 'durations'>;

/**
 * Adds the rates of the last minute and the totals of the last hour.
 *
 * @param aliveMs How long the process has run.
 */
export function summarized(series: Series, aliveMs: number): Traffic {
  const { step_sec, responses: byClass, failures: byFault, durations: all } = series;
  const slices = Math.max(1, Math.round(60 / step_sec));
  const length = byClass['2xx'].length;
  // Excludes the current slice, which has not ended, unless there is no other.
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

/** @param over Sums up the relevant slices. */
export function latencyOf({ bounds_ms, counts }: Durations, over: (list: readonly number[]) => number) {
  const totals = counts.map(over);
  const at = (share: number) => quantileOf(share, totals, bounds_ms) ?? null;
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99) };
}

/** All processes start their slices at the same times, so a process that is one slice ahead loses its oldest slice. */
mergedBy(traffic, (parts) => {
  const start = latest(parts.map((part) => part.start));
  const aligned = parts.map((part) =>
    shifted(part, (Date.parse(start) - Date.parse(part.start)) / 1000 / part.step_sec),
  );
  const series = {
    ...first(aligned),
    start,
    responses: addedMembers(aligned.map((part) => part.responses)),
    failures: addedMembers(aligned.map((part) => part.failures)),
    durations: merge(
      durations,
      aligned.map((part) => part.durations),
    ),
  };
  const { last_minute, last_hour } = summarized(series, Number.POSITIVE_INFINITY);
  const minutes = parts.map((part) => part.last_minute);
  const failuresPerSec = mapped(first(minutes).failures_per_sec, (_, name) =>
    sum(minutes.map((minute) => minute.failures_per_sec[name] ?? 0)),
  );
  return {
    ...series,
    // Each process computes rates over its own uptime.
    last_minute: {
      ...last_minute,
      requests_per_sec: sum(minutes.map((minute) => minute.requests_per_sec)),
      failures_per_sec: failuresPerSec,
    },
    last_hour,
  };
});

function shifted(part: Traffic, by: number): Traffic {
  if (by === 0) return part;
  const shift = (list: readonly number[]) => [...list.slice(by), ...new Array<number>(by).fill(0)];
  return {
    ...part,
    responses: mapped(part.responses, shift),
    failures: mapped(part.failures, shift),
    durations: { ...part.durations, counts: part.durations.counts.map(shift) },
  };
}

/** Adds lists element by element. */
function added(lists: readonly (readonly number[])[]): number[] {
  return first(lists).map((_, at) => sum(lists.map((list) => list[at] ?? 0)));
}

const addedMembers = <Name extends string>(parts: readonly Readonly<Record<Name, number[]>>[]) =>
  mapped(first(parts), (_, name) => added(parts.map((part) => part[name])));

export function mapped<Key extends string, Value, Result>(
  record: Readonly<Record<Key, Value>>,
  change: (value: Value, key: Key) => Result,
): Record<Key, Result> {
  const entries = Object.entries(record) as [Key, Value][];
  return Object.fromEntries(entries.map(([key, value]) => [key, change(value, key)])) as Record<Key, Result>;
}
