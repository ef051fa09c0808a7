import type { Traffic } from '@countersign/admin-api';
import { milliseconds, number, percent, rate, sum } from '../html/format.ts';
import { type Content, type Html, html } from '../html/html.ts';
import { trafficCharts } from './traffic-charts.ts';

/** Requests, failures and latency: the last minute as a number, the last hour as a chart. */
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
    tile('Failures', percent(failed, last_minute.requests_per_sec), 'of the requests of the last minute', [
      `${number(failedInHour)} in the last hour, ${percent(failedInHour, last_hour.requests)}. Not counted: ${number(caller)} refused by fault of the caller`,
      charts.failures,
    ]),
    tile('Latency', milliseconds(p50), 'median of the last minute', [
      html`p95 <b>${milliseconds(p95)}</b>, p99 <b>${milliseconds(p99)}</b>, the service included`,
      charts.latency,
    ]),
  ]}</div>`;
}

/** A 401, a 404 or a 429 is the caller's fault: it says nothing about the gateway and its services. */
const notByCallers = ({ caller: _caller, ...others }: Readonly<Record<string, number>>): number =>
  sum(Object.values(others));

const tile = (label: string, value: string, unit: string, [note, chart]: readonly [Content, Html]): Html =>
  html`<section class="card tile"><h2 class="tile-label muted">${label}</h2><p class="big">${value} <span class="unit muted">${unit}</span></p><p class="muted">${note}</p>${chart}</section>`;
