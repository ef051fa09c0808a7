import { z } from 'zod';
import { atMost, listOf, mostFirst, newestFirst } from './merge.ts';
import { traffic } from './traffic.ts';
import { count, counted, latestTime, text, total } from './values.ts';

export const route = z
  .object({
    name: z.string(),
    listener: z.enum(['public', 'internal']),
    path: z.string(),
    methods: z.array(z.string()),
    upstream: z.string(),
    auth: z.string(),
    rules: z.array(z.string()).describe('The compiled rules, in the order in which they are evaluated.'),
    requests: total.describe('Requests since the process started.'),
    refused: total.describe('Requests that the gateway refused since the process started.'),
    failed: total.describe('Requests with a 5xx response from the gateway or the service since the process started.'),
  })
  .meta({ id: 'Route' });
export type Route = z.output<typeof route>;

/** The maximum number of routes in a response. */
export const routesPerPage = 200;

export const routeFilters = {
  q: z.string().optional().describe("Part of a route's name, path, rules or upstream."),
  offset: z
    .string()
    .regex(/^\d{1,9}$/, 'must be a whole number')
    .optional()
    .describe(
      `The index of the first route. A response has at most ${routesPerPage}. An index after the last route returns the last page.`,
    ),
};

export const routeList = z.object({
  routes: listOf(route, ({ name }) => name),
  total: count.describe('The number of routes that match.'),
  configured: count,
  offset: count,
  page_size: count.describe('The maximum number of routes in a response.'),
  unmatched: total.describe('Requests refused because they matched no route.'),
});

/** What an error code means, and whose fault the error is. */
const meaning = { code: z.string(), fault: z.string(), status: z.int(), title: z.string() };

export const oneRoute = z.object({
  route,
  definition: z.record(z.string(), z.unknown()).describe("The route's keys in the file, with their defaults."),
  traffic,
  statuses: counted,
  refusals: listOf(z.object({ ...meaning, count: total }), ({ code }) => code, mostFirst),
});

const refusal = z
  .object({
    route: text.describe('The route. Null if no route matched.'),
    ...meaning,
    count: total.describe('Refusals since the process started.'),
    last: latestTime,
  })
  .meta({ id: 'Refusal' });
export type Refusal = z.output<typeof refusal>;

export const maxRefusals = 500;

export const refusalList = z.object({
  refusals: atMost(
    maxRefusals,
    listOf(refusal, ({ route: name, code }) => `${name ?? ''} ${code}`, newestFirst('last')),
  ),
});
