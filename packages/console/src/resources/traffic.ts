import { quantileOf } from '@countersign/process-kit';
import { namedObject } from '@countersign/service-kit';
import { z } from 'zod';
import { axisNumber, chart, joined, type Line } from '../html/chart.ts';
import { milliseconds, number, percent, rate } from '../html/format.ts';
import { type Content, type Html, html } from '../html/parts.ts';
import { count, first, latest, merge, mergedBy, ms, sum, time } from '../schema/merge.ts';
import { view } from '../schema/view.ts';

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
  namedObject('Durations', {
    bounds_ms: z.array(z.number()).describe("The buckets' upper bounds."),
    counts: z.array(perSlice).describe('The counts per bucket. The last bucket is for longer requests.'),
  }),
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

export const traffic = namedObject('Traffic', {
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
}).describe('The last hour in slices. The last slice has not ended yet.');
export type Traffic = z.output<typeof traffic>;

export const trafficView = view('Traffic', '/api/traffic', 'readTraffic', 'The traffic of the last hour', traffic);

export type Series = Pick<Traffic, 'start' | 'step_sec' | 'responses' | 'failures' | 'durations'>;

/** @param aliveMs How long the process has run. */
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
  if (parts.length === 1) return first(parts);
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

function added(lists: readonly (readonly number[])[]): number[] {
  return first(lists).map((_, at) => sum(lists.map((list) => list[at] ?? 0)));
}

const addedMembers = <Name extends string>(parts: readonly Readonly<Record<Name, number[]>>[]) =>
  mapped(first(parts), (_, name) => added(parts.map((part) => part[name])));

function mapped<Key extends string, Value, Result>(
  record: Readonly<Record<Key, Value>>,
  change: (value: Value, key: Key) => Result,
): Record<Key, Result> {
  const entries = Object.entries(record) as [Key, Value][];
  return Object.fromEntries(entries.map(([key, value]) => [key, change(value, key)])) as Record<Key, Result>;
}

const classes = [
  ['2xx', '2xx', 'good'],
  ['3xx', '3xx', 'c-cool'],
  ['4xx', '4xx', 'warn'],
  ['5xx', '5xx', 'bad'],
  ['1xx', 'upgrade', 'c-violet'],
  ['none', 'client disconnected', 'quiet'],
] as const;

const faults = [
  ['caller', 'caller', 'warn'],
  ['capacity', 'capacity', 'c-violet'],
  ['upstream', 'upstream', 'bad'],
  ['service', 'service 5xx', 'c-pink'],
  ['configuration', 'configuration', 'c-cool'],
  ['ours', 'gateway', 'c-accent'],
] as const;

export function trafficTiles(traffic: Traffic): Html {
  const { last_minute, last_hour } = traffic;
  const charts = trafficCharts(traffic);
  const { caller = 0 } = last_hour.failures;
  const failed = notByCallers(last_minute.failures_per_sec);
  const failedInHour = notByCallers(last_hour.failures);
  const { p50, p95, p99 } = last_minute.latency_ms;
  return html`<div class="tiles stack">${[
    tile('Requests', rate(last_minute.requests_per_sec), 'per second in the last minute', [
      `${number(last_hour.requests)} in the last hour`,
      charts.requests,
    ]),
    tile('Failures', percent(failed, last_minute.requests_per_sec), 'of requests in the last minute', [
      `${number(failedInHour)} in the last hour, ${percent(failedInHour, last_hour.requests)}. Excludes ${number(caller)} that were the caller's fault`,
      charts.failures,
    ]),
    tile('Latency', milliseconds(p50), 'median in the last minute', [
      html`p95 <b>${milliseconds(p95)}</b>, p99 <b>${milliseconds(p99)}</b>, including the service`,
      charts.latency,
    ]),
  ]}</div>`;
}

/** A 401, a 404 or a 429 is the caller's fault, and no failure of the gateway or its services. */
const notByCallers = ({ caller: _caller, ...others }: Readonly<Record<string, number>>): number =>
  sum(Object.values(others));

const tile = (label: string, value: string, unit: string, [note, chart]: readonly [Content, Html]): Html =>
  html`<section class="card tile"><h2 class="muted">${label}</h2><p class="big">${value} <span class="muted">${unit}</span></p><p class="muted">${note}</p>${chart}</section>`;

function trafficCharts(whole: Traffic) {
  const traffic = sinceFirstRequest(whole);
  const { start, step_sec, responses, failures, durations, last_minute } = traffic;
  const size = responses['2xx'].length / joined(responses['2xx']).length;
  const stepSec = step_sec * size;
  const perSec = (list: readonly number[]) => joined(list).map((count) => count / stepSec);
  const isSeen = ({ values }: Line) => values.some((value) => value !== null && value > 0);
  const requests = classes.map(([key, label, look]) => ({ label, look, values: perSec(responses[key]) }));
  const failed = faults.map(([key, label, look]) => ({ label, look, values: perSec(failures[key]) }));
  const common = { start, stepSec };
  const { p50, p95, p99 } = last_minute.latency_ms;
  return {
    requests: chart({
      ...common,
      title: 'Requests per second',
      kind: 'stacked',
      // Always shows the most common class, so that an empty chart has a legend.
      lines: requests.filter((line, at) => at === 0 || isSeen(line)),
      format: axisNumber,
      summary: `${rate(last_minute.requests_per_sec)} per second in the last minute`,
    }),
    failures: chart({
      ...common,
      title: 'Failures per second, by fault',
      kind: 'stacked',
      lines: failed.filter((line, at) => at === 0 || isSeen(line)),
      format: axisNumber,
      summary: faults.map(([key, label]) => `${label} ${rate(last_minute.failures_per_sec[key] ?? 0)}`).join(', '),
    }),
    latency: chart({
      ...common,
      title: 'Latency',
      kind: 'lines',
      lines: latencyLines({ ...durations, counts: durations.counts.map((list) => joined(list)) }),
      format: (ms) => (ms === 0 ? '0' : milliseconds(ms)),
      summary: `in the last minute, half of the requests took up to ${milliseconds(p50)}, 95 % up to ${milliseconds(p95)}, 99 % up to ${milliseconds(p99)}`,
    }),
  };
}

const shortestMs = 300_000;

/** Removes the time before the first request, so that charts are not mostly empty after startup. */
function sinceFirstRequest(traffic: Traffic): Traffic {
  const { start, step_sec, responses, failures, durations } = traffic;
  const lists = Object.values(responses);
  const length = responses['2xx'].length;
  const first = responses['2xx'].findIndex((_, at) => lists.some((list) => (list[at] ?? 0) > 0));
  const from = Math.max(0, Math.min(first === -1 ? length : first, length - shortestMs / 1000 / step_sec));
  const cut = (list: readonly number[]) => list.slice(from);
  return {
    ...traffic,
    start: new Date(Date.parse(start) + from * step_sec * 1000).toISOString(),
    responses: mapped(responses, cut),
    failures: mapped(failures, cut),
    durations: { ...durations, counts: durations.counts.map(cut) },
  };
}

export function latencyLines({ bounds_ms, counts }: Durations): Line[] {
  const slices = (counts[0] ?? []).map((_, slice) => counts.map((bucket) => bucket[slice] ?? 0));
  const at = (share: number) => slices.map((buckets) => quantileOf(share, buckets, bounds_ms) ?? null);
  return [
    { label: 'p50', look: 'good', values: at(0.5) },
    { label: 'p95', look: 'c-accent', values: at(0.95) },
    { label: 'p99', look: 'c-violet', values: at(0.99) },
  ];
}
