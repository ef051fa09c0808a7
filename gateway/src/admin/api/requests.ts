import { z } from 'zod';
import { errorTable } from '../../errors.ts';
import type { FinishedRequest } from '../../metrics/traffic.ts';
import { first, newestFirst } from './merge.ts';
import { time, timeOf } from './values.ts';
import { type ConsoleSources, defineView, type ViewQuery } from './view.ts';

const text = z.string().nullable();
const ms = z.number().nullable();

const finished = z
  .object({
    id: z.string().describe('The `x-request-id`.'),
    at: time.describe('When it ended.'),
    method: z.string(),
    path: z.string().describe('Without the query. In a list at most 256 characters.'),
    status: z.int().describe('0: the client left before the response started.'),
    aborted: z.boolean(),
    route: text,
    rule: text.describe(
      'The rule that refused it, or the last rule of its route, which allowed it. Null: no rule decided.',
    ),
    code: text.describe('Null: the gateway did not refuse it.'),
    fault: text,
    title: text.describe('The public text of the refusal.'),
    detail: z.record(z.string(), z.string()).describe('Why, for operators.'),
    identity: text,
    user_id: text,
    role: text,
    tenant_id: text,
    service_id: text,
    client_id: text,
    actor: text,
    issuer: text.describe('The issuer of the token.'),
    scope: z.array(z.string()).describe('The scopes of the token that the configuration knows.'),
    claims: z
      .record(z.string(), z.array(z.union([z.string(), z.number(), z.boolean()])))
      .describe('The claims that rules compare.'),
    bound: z.boolean().describe('Whether the token is bound to a key.'),
    transaction_id: text,
    ip: text,
    upstream: text,
    target: text,
    attempts: z.int().nullable(),
    retried_after: text,
    error: text.describe('The kind of error behind a 5xx. Its text is in the log.'),
    total_ms: z.number(),
    decided_ms: ms.describe('Until it was signed.'),
    waited_ms: ms.describe('Then until it had a connection.'),
    upstream_ms: ms.describe('Then until the response began.'),
  })
  .meta({ id: 'Request' });
export type RequestItem = z.output<typeof finished>;

const requestList = z.object({ requests: z.array(finished) });
export type RequestList = z.output<typeof requestList>;

/** The maximum number of requests in a response. */
export const maxRequests = 1_500;

export const outcomes = ['refused', 'failed', 'served'] as const;

const filterTime = z.iso
  .datetime({ offset: true, error: 'must be a time with its offset, such as 2026-11-26T09:41:07Z' })
  .optional();

const filters = {
  route: z.string().optional(),
  status: z
    .string()
    .regex(/^(?:[1-5]xx|[1-5]\d\d|0)$/, 'must be a status such as 403, or a class such as 4xx')
    .optional()
    .describe('A status, or a class such as `4xx`. 0: the client left.'),
  code: z.string().optional(),
  user: z.string().optional().describe('A user id, or the subject of a refused token.'),
  tenant: z.string().optional(),
  id: z.string().optional().describe('The start of a request id.'),
  since: filterTime.describe('Ended at this time or later, RFC 3339.'),
  until: filterTime.describe('Ended before this time, RFC 3339.'),
  outcome: z.enum(outcomes, { error: `must be one of ${outcomes.join(', ')}` }).optional(),
};

export const requestsView = defineView({
  path: '/requests',
  operationId: 'listRequests',
  tag: 'Traffic',
  summary: 'The last 500 requests, and the last 250 refusals of each kind, newest first',
  query: filters,
  response: requestList,
  read: (sources, query) => ({ requests: newest(itemsOf(sources), query) }),
  merge: (parts, query) => ({
    requests: newest(
      parts.flatMap(({ requests }) => requests),
      query,
    ),
  }),
});

export const requestView = defineView({
  path: '/requests/:id',
  operationId: 'readRequest',
  tag: 'Traffic',
  summary: 'One of the last requests: how it was decided, where it went, how long each part took',
  response: finished,
  read: (sources, { id }) => itemsOf(sources).find((item) => item.id === id),
  merge: first,
});

function newest(items: readonly RequestItem[], query: ViewQuery): RequestItem[] {
  return items
    .filter((item) => fits(item, query))
    .sort(newestFirst('at'))
    .slice(0, maxRequests)
    .map((item) => ({ ...item, path: shortened(item.path) }));
}

/** In a list. A path can have 16 KiB, and a list has many rows. */
const maxListedPath = 256;
const shortened = (path: string): string =>
  path.length > maxListedPath ? `${path.slice(0, maxListedPath - 1)}…` : path;

function fits(item: RequestItem, query: ViewQuery): boolean {
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

/** `refused` by a rule or a limit; `failed` at the service, on the way to it or in the gateway; or `served`. */
export function outcomeOf({
  code,
  fault,
  status,
  aborted,
}: Pick<RequestItem, 'code' | 'fault' | 'status' | 'aborted'>): 'refused' | 'failed' | 'served' {
  if (status >= 500 || fault === 'upstream' || fault === 'ours') return 'failed';
  if (code !== null) return 'refused';
  return status === 0 || aborted ? 'failed' : 'served';
}

/** The wall clock minus the monotonic clock. It changes only when one of them was set: read anew, it varies by 1 ms. */
let offsetMs = Number.NaN;

function itemsOf({ traffic: { recent, refused }, nowMs }: ConsoleSources): RequestItem[] {
  const offsetNowMs = nowMs() - performance.now();
  if (!(Math.abs(offsetNowMs - offsetMs) < 10)) offsetMs = offsetNowMs;
  const items = new Map<string, RequestItem>();
  for (const request of [...recent.newestFirst(), ...refused.flatMap((ring) => [...ring.newestFirst()])]) {
    if (!items.has(request.record.requestId)) items.set(request.record.requestId, itemOf(request));
  }
  return [...items.values()];
}

function itemOf({ record, status, isAborted, durationMs }: FinishedRequest): RequestItem {
  return {
    id: record.requestId,
    at: timeOf(record.startedAt + durationMs + offsetMs),
    method: record.method,
    path: record.path,
    status,
    aborted: isAborted,
    route: record.route ?? null,
    rule: record.rule ?? null,
    code: record.code ?? null,
    fault: record.fault ?? null,
    title: record.code === undefined ? null : (errorTable[record.code as keyof typeof errorTable]?.title ?? null),
    detail: shownDetail(record.detail),
    identity: record.identity ?? null,
    user_id: record.userId ?? null,
    role: record.role ?? null,
    tenant_id: record.tenantId ?? null,
    service_id: record.serviceId ?? null,
    client_id: record.clientId ?? null,
    actor: record.actor ?? null,
    issuer: record.grant?.issuer ?? null,
    scope: [...(record.grant?.scope ?? [])],
    claims: Object.fromEntries([...(record.grant?.kept ?? [])].map(([name, values]) => [name, [...values]])),
    bound: record.grant?.jkt !== undefined || record.grant?.certificate !== undefined,
    transaction_id: record.transactionId ?? null,
    ip: record.address ?? null,
    upstream: record.upstream ?? null,
    target: record.target ?? null,
    attempts: record.attempts ?? null,
    retried_after: record.retriedAfter ?? null,
    error: errorName(record.err),
    total_ms: rounded(durationMs),
    decided_ms: roundedOrNull(record.decidedMs),
    waited_ms: roundedOrNull(record.waitedMs),
    upstream_ms: roundedOrNull(record.upstreamMs),
  };
}

/** The members that stages write for operators. Others could hold input of the client. */
const shownMembers = [
  'why',
  'reason',
  'claim',
  'wanted',
  'found',
  'issuer',
  'subject',
  'kid',
  'header',
  'limit',
  'upstream',
  'target',
  'status',
];

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

const rounded = (value: number): number => Math.round(value * 100) / 100;
const roundedOrNull = (value: number | undefined): number | null => (value === undefined ? null : rounded(value));
