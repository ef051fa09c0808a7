import type { Since } from '../schema/merge.ts';
import { exact } from './format.ts';
import { type Content, forTime, type Html, html, type Page, pill, to } from './parts.ts';

export type Frame = Readonly<{
  gateway: Since;
  configuration: Since;
  version: string;
  nowMs: number;
  assets: Readonly<Record<'style' | 'script' | 'icon', string>>;
  /** The workers' numbers, and the number of the worker that the page shows. Empty without workers. */
  workers: readonly number[];
  worker: number | undefined;
  /** The page's path, for links to the same page. */
  path: string;
  query: Readonly<Record<string, string | undefined>>;
}>;

/** The menu entries by group, each with its path. Pages below that path belong to the entry. */
const navigation: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  Traffic: { Overview: '/', Routes: '/console/routes', Requests: '/console/requests', Explain: '/console/explain' },
  State: {
    Upstreams: '/console/upstreams',
    Issuers: '/console/issuers',
    Revocations: '/console/revocations',
    Limits: '/console/limits',
  },
  Gateway: { Reloads: '/console/reloads', Certificates: '/console/certificates', Workers: '/console/workers' },
};

export function layout({ status, title: own, live = true, body }: Page, frame: Frame): string {
  const { assets, version, nowMs } = frame;
  const [name, entryPath] = entryOf(frame.path);
  const title = own ?? name;
  // An error page highlights no menu entry, so that the reader can open every entry.
  const place = status === undefined || own === undefined ? entryPath : undefined;
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${title} · Countersign</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<link rel="stylesheet" href="${assets.style}"><link rel="icon" type="image/svg+xml" href="${assets.icon}">
<script type="module" src="${assets.script}"></script></head>
<body><a class="skip" href="#main">Skip to content</a>
<header class="top row"><button type="button" class="menu" popovertarget="nav" aria-label="Menu">Menu</button>
<a class="brand" href="/"><img src="${assets.icon}" alt="" width="20" height="20"> Countersign</a>
<div class="status row" id="status">${statusOf(frame)}</div>
${workerForm(frame)}<button type="button" class="live quiet" id="live" hidden aria-pressed="true">Live</button></header>
<nav id="nav" popover aria-label="Console">${Object.entries(navigation).map(
    ([group, entries]) =>
      html`<h2>${group}</h2><ul>${Object.entries(entries).map(
        ([label, path]) =>
          html`<li><a href="${to(path)}" ${path === place ? html`aria-current="page"` : ''}>${label}</a></li>`,
      )}</ul>`,
  )}<p class="muted">Version ${version}<br><a href="/api/openapi.json">API</a> · <a href="/metrics">Metrics</a></p></nav>
<main id="main" class="stack" tabindex="-1" ${live ? html`data-live` : ''}><h1>${title}</h1>${body}
<p class="made muted">As of ${exact(new Date(nowMs).toISOString())}.</p></main></body></html>`.render(frame.worker);
}

const entryOf = (path: string): readonly [label?: string, path?: string] =>
  Object.values(navigation)
    .flatMap((entries) => Object.entries(entries))
    .find(([, place]) => path === place || (place !== '/' && path.startsWith(`${place}/`))) ?? [];

function statusOf({ gateway, configuration, nowMs }: Frame): Html {
  const file =
    configuration.state === 'refused'
      ? html`<a class="pill bad" href="/console/reloads">file refused</a> <span class="muted">for ${forTime(configuration.since, nowMs)}</span>`
      : '';
  return html`${pill(gateway.state)} <span class="muted">for ${forTime(gateway.since, nowMs)}</span> ${file}`;
}

function workerForm({ workers, worker, path, query }: Frame): Content {
  if (workers.length === 0) return '';
  const kept = Object.entries(query).filter(
    ([name, value]) => name !== 'worker' && value !== undefined && value !== '',
  );
  return html`<form class="workers row" method="get" action="${path}">${kept.map(
    ([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`,
  )}<label>Worker <select name="worker" id="worker"><option value="">all</option>${workers.map(
    (one) => html`<option value="${one}" ${one === worker ? html`selected` : ''}>${one}</option>`,
  )}</select></label> <button type="submit">Show</button></form>
`;
}
