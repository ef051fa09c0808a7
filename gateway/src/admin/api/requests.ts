import type { Answers, outcomes, Query, Request } from '@countersign/console';
import { type Code, errorTable } from '../../errors.ts';
import { fieldsOf, type RequestRecord } from '../../pipeline/request-record.ts';
import { timeOf } from '../describe.ts';
import type { ConsoleSources } from '../sources.ts';

export const readRequests = (sources: ConsoleSources, query: Query): Answers['/api/requests'] => ({
  requests: itemsOf(sources)
    .filter((item) => fits(item, query))
    .map((item) => ({ ...item, path: shortened(item.path) })),
});

export const readRequest = (sources: ConsoleSources, { id }: Query): Request | undefined =>
  itemsOf(sources).find((item) => item.id === id);

/** The longest path that a list shows. A path can be 16 KiB long, and a list has many rows. */
const maxListedPath = 256;
const shortened = (path: string): string =>
  path.length > maxListedPath ? `${path.slice(0, maxListedPath - 1)}…` : path;

function fits(item: Request, query: Query): boolean {
  const { route, status, code, user, tenant, id, since, until, outcome } = query;
  const is = (wanted: string | undefined, value: string | null) => !wanted || wanted === value;
  return (
    is(route, item.route) &&
    is(code, item.code) &&
    (is(user, item.user_id) || user === item.detail.subject) &&
    is(tenant, item.tenant_id) &&
    item.id.startsWith(id ?? '') &&
    fitsStatus(String(item.status), status) &&
    (!since || Date.parse(item.at) >= Date.parse(since)) &&
    (!until || Date.parse(item.at) < Date.parse(until)) &&
    (!outcome || outcome === outcomeOf(item))
  );
}

function fitsStatus(status: string, wanted: string | undefined): boolean {
  if (!wanted) return true;
  return /^[1-5]xx$/.test(wanted) ? status.length === 3 && status[0] === wanted[0] : status === wanted;
}

/** `refused` by a rule or limit, `failed` by the gateway or upstream, or `served`. */
export function outcomeOf(item: Pick<Request, 'code' | 'fault' | 'status' | 'aborted'>): (typeof outcomes)[number] {
  const { code, fault, status, aborted } = item;
  if (status >= 500 || fault === 'upstream' || fault === 'ours') return 'failed';
  if (code !== null) return 'refused';
  return status === 0 || aborted ? 'failed' : 'served';
}

/** The wall clock minus the monotonic clock. Recomputed only if the clock is set, because readings vary by 1 ms. */
let offsetMs = Number.NaN;

function itemsOf({ traffic: { recent, refused }, nowMs }: ConsoleSources): Request[] {
  const offsetNowMs = nowMs() - performance.now();
  if (!(Math.abs(offsetNowMs - offsetMs) < 10)) offsetMs = offsetNowMs;
  const items = new Map<string, Request>();
  for (const record of [recent, ...refused].flatMap((ring) => ring.newestFirst())) {
    if (!items.has(record.requestId)) items.set(record.requestId, itemOf(record));
  }
  return [...items.values()];
}

/** The contents of the log line, plus what Explain needs to repeat the request. */
function itemOf(record: RequestRecord): Request {
  const {
    request_id,
    duration_ms,
    alarm: _a,
    listener: _l,
    upgrade: _u,
    detail,
    err,
    status = 0,
    ...logged
  } = fieldsOf(record);
  const { code, claims } = record;
  return {
    ...withNulls(logged),
    id: request_id,
    at: timeOf(record.startedAt + record.durationMs + offsetMs),
    status,
    aborted: record.isAborted,
    title: code === undefined ? null : (errorTable[code as Code]?.title ?? null),
    detail: shownDetail(detail),
    role: claims?.role ?? null,
    issuer: claims?.issuer ?? null,
    scope: [...(claims?.scope ?? [])],
    claims: Object.fromEntries([...(claims?.kept ?? [])].map(([name, values]) => [name, [...values]])),
    bound: claims?.jkt !== undefined || claims?.certificate !== undefined,
    error: errorName(err),
    total_ms: duration_ms ?? 0,
  };
}

type WithNulls<Fields> = {
  [Key in keyof Fields]: undefined extends Fields[Key] ? Exclude<Fields[Key], undefined> | null : Fields[Key];
};

const withNulls = <Fields extends object>(fields: Fields): WithNulls<Fields> =>
  Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, value ?? null])) as WithNulls<Fields>;

/** The members of `detail` that operators may see. Others could contain client input. */
const shownMembers = 'why reason claim wanted found issuer subject kid header limit upstream target status'.split(' ');

function shownDetail(detail: Readonly<Record<string, unknown>> | undefined): Record<string, string> {
  const shown: Record<string, string> = {};
  for (const name of shownMembers) {
    const value = detail?.[name];
    if (typeof value === 'string' || typeof value === 'number') shown[name] = String(value).slice(0, 300);
  }
  return shown;
}

function errorName(error: unknown): string | null {
  if (!(error instanceof Error)) return null;
  const { code } = error as NodeJS.ErrnoException;
  return typeof code === 'string' ? code : error.name;
}
