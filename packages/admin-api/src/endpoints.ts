import { z } from 'zod';
import { certificateList } from './certificates.ts';
import { type Answer, explainAnswer } from './explain.ts';
import { limitList } from './limits.ts';
import { eventList, processList, reloadList } from './processes.ts';
import { request, requestFilters, requestList } from './requests.ts';
import { oneRoute, refusalList, routeFilters, routeList } from './routes.ts';
import { traffic } from './traffic.ts';
import { issuerList, revocationList } from './trust.ts';
import { upstreamList } from './upstreams.ts';

const worker = z
  .string()
  .regex(/^[1-9]\d{0,3}$/, 'must be the number of a worker')
  .optional()
  .describe('The number of a worker.');

/** @param response Defines how the responses of several processes are merged: see `merge`. */
const get =
  (tag: 'Traffic' | 'State') =>
  <const Path extends string, Response extends z.ZodType>(
    path: Path,
    operationId: string,
    summary: string,
    response: Response,
    query: z.ZodRawShape = {},
  ) => ({
    method: 'get' as const,
    path,
    operationId,
    tag,
    summary,
    callers: ['anonymous'] as const,
    query: z.strictObject({ ...query, worker }),
    responses: { 200: response },
    errors: [] as const,
  });
const ofTraffic = get('Traffic');
const ofState = get('State');

/** The GET endpoints of the admin API, in the order of its OpenAPI description. */
export const views = [
  ofTraffic('/api/traffic', 'readTraffic', 'The traffic of the last hour', traffic),
  ofTraffic('/api/routes', 'listRoutes', 'The routes in force, with their rules and totals', routeList, routeFilters),
  ofTraffic('/api/routes/:name', 'readRoute', 'One route: its rules, its traffic, its refusals by code', oneRoute),
  ofTraffic(
    '/api/requests',
    'listRequests',
    'The last 500 requests, and the last 250 refusals of each kind, newest first',
    requestList,
    requestFilters,
  ),
  ofTraffic(
    '/api/requests/:id',
    'readRequest',
    'One of the last requests: how it was decided, where it went, how long each part took',
    request,
  ),
  ofTraffic(
    '/api/refusals',
    'listRefusals',
    'Refusals by route and code, with the time of the last one, newest first',
    refusalList,
  ),
  ofState(
    '/api/upstreams',
    'listUpstreams',
    'Upstreams and their targets: health, circuit breaker, latency, last error',
    upstreamList,
  ),
  ofState('/api/issuers', 'listIssuers', 'Token issuers: their keys, and the tokens verified and refused', issuerList),
  ofState(
    '/api/revocations',
    'listRevocations',
    'Revocations held, their lag and their staleness, by issuer',
    revocationList,
  ),
  ofState(
    '/api/limits',
    'listLimits',
    'Rate limits, and the callers that they refuse now or refused recently',
    limitList,
  ),
  ofState(
    '/api/reloads',
    'listReloads',
    'The configuration in force, and the last ten reloads with their problems and changes',
    reloadList,
  ),
  ofState(
    '/api/certificates',
    'listCertificates',
    'The certificates of the public listener and of upstreams, and when they expire',
    certificateList,
  ),
  ofState('/api/workers', 'listWorkers', 'The processes that serve', processList),
  ofState(
    '/api/events',
    'listEvents',
    'The last 20 changes of the state of each part, 500 in all, newest first',
    eventList,
  ),
] as const;

/** How the gateway would handle a request. The gateway describes the body. */
export const explainEndpoint = {
  method: 'post',
  path: '/api/explain',
  operationId: 'explainRequest',
  tag: 'Explain',
  summary: 'How the gateway would handle a request',
  description:
    'Uses the running configuration, keys and revocations. No request is sent, and rate limits are not counted.',
  callers: ['anonymous'],
  responses: { 200: explainAnswer },
  errors: [],
} as const;

/** A GET route. */
export type View = (typeof views)[number];

export type Answers = { [One in View as One['path']]: z.output<One['responses'][200]> };

/** Names and values of a path and a query. An empty value counts as absent. */
export type Query = Readonly<Record<string, string | undefined>>;

/** The admin API of the gateway, without HTTP. It throws AppErrors instead of answering with a problem. */
export type AdminApi = Readonly<{
  /** @param query Includes the parameters of the path. Unknown names are ignored. */
  read<Path extends keyof Answers>(path: Path, query?: Query): Promise<Answers[Path]>;
  /** @param question Form fields. */
  explain(question: Query): Promise<Answer>;
}>;
