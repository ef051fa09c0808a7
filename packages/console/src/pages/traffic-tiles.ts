import { mapped, type Traffic } from '@countersign/admin-api';
import { axisNumber, chart, joined, type Line, latencyLines } from '../html/chart.ts';
import { milliseconds, number, percent, rate, sum } from '../html/format.ts';
import { type Content, type Html, html } from '../html/html.ts';

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

/** Shows requests, failures and latency: the last minute as a number, and the last hour as a chart. */
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
  html`<section class="card tile"><h2 class="tile-label muted">${label}</h2><p class="big">${value} <span class="unit muted">${unit}</span></p><p class="muted">${note}</p>${chart}</section>`;

/** Charts requests by class, failures by fault, and latency, over the last hour. */
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
