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
  .regex(/^[1-9]\d{0,3}$/, 'must be a worker number')
  .optional()
  .describe('A worker number.');

/** @param response Also defines how to merge the responses of several processes: see `merge`. */
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

/** The admin API's GET endpoints, in the order of the OpenAPI description. */
export const views = [
  ofTraffic('/api/traffic', 'readTraffic', 'The traffic of the last hour', traffic),
  ofTraffic('/api/routes', 'listRoutes', 'The current routes, with their rules and totals', routeList, routeFilters),
  ofTraffic('/api/routes/:name', 'readRoute', 'One route: rules, traffic, and refusals by code', oneRoute),
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
    'One of the last requests: the decision, the upstream, and how long each part took',
    request,
  ),
  ofTraffic(
    '/api/refusals',
    'listRefusals',
    'Refusals by route and code, with the time of the last refusal, newest first',
    refusalList,
  ),
  ofState(
    '/api/upstreams',
    'listUpstreams',
    'Upstreams and their targets: health, circuit breaker, latency, last error',
    upstreamList,
  ),
  ofState(
    '/api/issuers',
    'listIssuers',
    'Token issuers: their keys, and how many tokens were verified and refused',
    issuerList,
  ),
  ofState(
    '/api/revocations',
    'listRevocations',
    'Revocations by issuer: how many are held, their lag, and their staleness',
    revocationList,
  ),
  ofState('/api/limits', 'listLimits', 'Rate limits, and the callers that they refuse or recently refused', limitList),
  ofState(
    '/api/reloads',
    'listReloads',
    'The current configuration, and the last ten reloads with their problems and changes',
    reloadList,
  ),
  ofState(
    '/api/certificates',
    'listCertificates',
    'The certificates of the public listener and of upstreams, and when they expire',
    certificateList,
  ),
  ofState('/api/workers', 'listWorkers', 'The processes that serve requests', processList),
  ofState('/api/events', 'listEvents', 'The last 20 state changes of each part, at most 500, newest first', eventList),
] as const;

/** How the gateway would handle a request. The gateway package describes the request body. */
export const explainEndpoint = {
  method: 'post',
  path: '/api/explain',
  operationId: 'explainRequest',
  tag: 'Explain',
  summary: 'How the gateway would handle a request',
  description:
    'Uses the running configuration, keys and revocations. Sends no request and counts against no rate limit.',
  callers: ['anonymous'],
  responses: { 200: explainAnswer },
  errors: [],
} as const;

/** A GET route. */
export type View = (typeof views)[number];

export type Answers = { [One in View as One['path']]: z.output<One['responses'][200]> };

/** Names and values from a path and a query. An empty value counts as absent. */
export type Query = Readonly<Record<string, string | undefined>>;

/** The gateway's admin API, without HTTP. It throws AppErrors instead of returning problem details. */
export type AdminApi = Readonly<{
  /** @param query Includes the path parameters. Unknown names are ignored. */
  read<Path extends keyof Answers>(path: Path, query?: Query): Promise<Answers[Path]>;
  /** @param question The form fields. */
  explain(question: Query): Promise<Answer>;
}>;
