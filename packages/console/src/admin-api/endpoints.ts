import { z } from 'zod';
import { certificateList } from './certificates.ts';
import { explainAnswer } from './explain.ts';
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
  .describe('One of several workers, by its number.');

type Described = Readonly<{ operationId: string; tag: 'Traffic' | 'State'; summary: string; query?: z.ZodRawShape }>;

/** @param response Says how the answers of several processes become one: see `merge`. */
const get = <const Path extends string, Response extends z.ZodType>(
  path: Path,
  response: Response,
  { query, ...described }: Described,
) => ({
  method: 'get' as const,
  path,
  ...described,
  callers: ['anonymous'] as const,
  query: z.strictObject({ ...query, worker }),
  responses: { 200: response },
  errors: [] as const,
});

/** What can be read from the admin API, in the order of its description. */
export const views = [
  get('/api/traffic', traffic, {
    operationId: 'readTraffic',
    tag: 'Traffic',
    summary: 'The traffic of the last hour',
  }),
  get('/api/routes', routeList, {
    operationId: 'listRoutes',
    tag: 'Traffic',
    summary: 'The routes in force, with their rules and totals',
    query: routeFilters,
  }),
  get('/api/routes/:name', oneRoute, {
    operationId: 'readRoute',
    tag: 'Traffic',
    summary: 'One route: its rules, its traffic, its refusals by code',
  }),
  get('/api/requests', requestList, {
    operationId: 'listRequests',
    tag: 'Traffic',
    summary: 'The last 500 requests, and the last 250 refusals of each kind, newest first',
    query: requestFilters,
  }),
  get('/api/requests/:id', request, {
    operationId: 'readRequest',
    tag: 'Traffic',
    summary: 'One of the last requests: how it was decided, where it went, how long each part took',
  }),
  get('/api/refusals', refusalList, {
    operationId: 'listRefusals',
    tag: 'Traffic',
    summary: 'Refusals by route and code, with the time of the last one, newest first',
  }),
  get('/api/upstreams', upstreamList, {
    operationId: 'listUpstreams',
    tag: 'State',
    summary: 'Upstreams and their targets: health, circuit breaker, latency, last error',
  }),
  get('/api/issuers', issuerList, {
    operationId: 'listIssuers',
    tag: 'State',
    summary: 'Token issuers: their keys, and the tokens verified and refused',
  }),
  get('/api/revocations', revocationList, {
    operationId: 'listRevocations',
    tag: 'State',
    summary: 'Revocations held, their lag and their staleness, by issuer',
  }),
  get('/api/limits', limitList, {
    operationId: 'listLimits',
    tag: 'State',
    summary: 'Rate limits, and the callers that they refuse now or refused lately',
  }),
  get('/api/reloads', reloadList, {
    operationId: 'listReloads',
    tag: 'State',
    summary: 'The configuration in force, and the last ten reloads with their problems and changes',
  }),
  get('/api/certificates', certificateList, {
    operationId: 'listCertificates',
    tag: 'State',
    summary: 'The certificates of the public listener and of upstreams, and when they expire',
  }),
  get('/api/workers', processList, {
    operationId: 'listWorkers',
    tag: 'State',
    summary: 'The processes that serve',
  }),
  get('/api/events', eventList, {
    operationId: 'listEvents',
    tag: 'State',
    summary: 'The last 20 changes of the state of each part, 500 in all, newest first',
  }),
] as const;

/** How the gateway would handle a request. Its body is the question, which the gateway describes. */
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

type Endpoint = (typeof views)[number] | typeof explainEndpoint;

/** What each path of the API answers with. */
export type Answers = { [One in Endpoint as One['path']]: z.output<One['responses'][200]> };

/** A route that reads. */
export type View = (typeof views)[number];
