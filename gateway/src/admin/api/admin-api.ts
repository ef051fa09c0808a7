import * as api from '@countersign/console';
import { allowOnly, createRouter, jsonBody, notStored, parseJson } from '@countersign/process-kit';
import { describeApi } from '@countersign/service-kit';
import type { Router } from 'express';
import type { z } from 'zod';
import { AppError, errorTable } from '../../errors.ts';
import { type ExplainQuestion, explainQuestion } from '../../explain/question.ts';
import type { InTurn } from '../in-turn.ts';
import type { ConsoleSources } from '../sources.ts';
import { readIssuers, readRevocations } from './issuers.ts';
import { readRequest, readRequests } from './requests.ts';
import { readRefusals, readRoute, readRoutes } from './routes.ts';
import {
  explainNow,
  readCertificates,
  readEvents,
  readLimits,
  readProcesses,
  readReloads,
  readUpstreams,
} from './state.ts';

/** How one process answers each view. Undefined means that the item does not exist (404). */
const reads: {
  readonly [One in api.ViewPath]: (sources: ConsoleSources, query: api.Query) => api.Answers[One] | undefined;
} = {
  '/api/traffic': ({ traffic, nowMs }) => traffic.history.ofProcess(nowMs()),
  '/api/routes': readRoutes,
  '/api/routes/:name': readRoute,
  '/api/requests': readRequests,
  '/api/requests/:id': readRequest,
  '/api/refusals': readRefusals,
  '/api/upstreams': readUpstreams,
  '/api/issuers': readIssuers,
  '/api/revocations': readRevocations,
  '/api/limits': readLimits,
  '/api/reloads': readReloads,
  '/api/certificates': readCertificates,
  '/api/workers': readProcesses,
  '/api/events': readEvents,
};

/** Where the API gets its data: from this process, or from all workers. */
export type ConsoleData = Readonly<{
  /** @returns Undefined if the item does not exist. */
  read(path: api.ViewPath, query: api.Query): Promise<unknown>;
  explain(asked: ExplainQuestion): Promise<api.Answer>;
}>;

export const ownData = (sources: ConsoleSources) => ({
  async read(path: api.ViewPath, query: api.Query): Promise<unknown> {
    if (query.worker) throw new AppError('not_found');
    const answer = reads[path](sources, query);
    return answer && api.mergeAnswers(path, [answer]);
  },
  explain: (asked: ExplainQuestion) => explainNow(asked, sources),
});

/** The OpenAPI 3.1 description of the API. The listener has no login, so there are no security schemes. */
export function describeAdminApi(): Record<string, unknown> {
  const { components, ...description } = describeApi({
    title: 'Countersign console',
    description:
      'The data behind the admin console, as JSON. With several workers, their data is merged; `?worker=N` selects one worker.',
    tags: [
      { name: 'Traffic', description: 'Requests, by route and individually.' },
      { name: 'State', description: 'The state of each part of the gateway, and when that state began.' },
      { name: 'Explain', description: 'How a request would be handled.' },
    ],
    errors: errorTable,
    endpoints: [...api.views, { ...api.explainEndpoint, body: explainQuestion }],
  }) as { components: { schemas: unknown } };
  return {
    ...description,
    servers: [{ url: '/', description: 'The admin listener. `npm start` opens it at http://127.0.0.1:9090.' }],
    components: { schemas: components.schemas },
  };
}

/** Fits a URL-encoded token of 16 KiB, twice the longest that the gateway accepts. */
const maxBodyBytes = 64 * 1024;
const readOnly = allowOnly('GET, HEAD');

export function apiRoutes(data: ConsoleData, inTurn: InTurn): Router {
  const router = createRouter();
  router.use(['/api'], notStored);
  for (const view of api.views) {
    router.get(view.path, async ({ originalUrl, params }, res) => {
      const query = Object.fromEntries(new URL(originalUrl, 'http://admin').searchParams);
      res.json(await inTurn(() => readView(data, view, query, params as api.Query)));
    });
    router.all(view.path, readOnly);
  }
  const description = JSON.stringify(describeAdminApi());
  router.get('/api/openapi.json', (_req, res) => void res.type('application/json').send(description));
  router.all('/api/openapi.json', readOnly);
  router.post(api.explainEndpoint.path, parseJson(maxBodyBytes), async (req, res) => {
    res.json(await inTurn(() => data.explain(explainQuestion.parse(jsonBody(req) ?? {}))));
  });
  router.all(api.explainEndpoint.path, allowOnly('POST'));
  return router;
}

export const apiOfPages = (data: ConsoleData): api.AdminApi => ({
  async read<Response extends z.ZodType>(view: api.ViewOf<Response>, query: api.Query = {}) {
    const taken = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, query[name]]));
    const inPath = view.path.match(/(?<=:)\w+/g) ?? [];
    return (await readView(data, view, taken(Object.keys(view.query.shape)), taken(inPath))) as z.output<Response>;
  },
  explain: async (question) => data.explain(explainQuestion.parse(question)),
});

/** @param given Only the first value of a repeated parameter counts. Spaces come from copying; empty is absent. */
async function readView(
  data: ConsoleData,
  view: api.ViewOf<z.ZodType>,
  given: api.Query,
  params: api.Query,
): Promise<unknown> {
  const query = Object.fromEntries(Object.entries(given).map(([name, value]) => [name, value?.trim() || undefined]));
  view.query.parse(query);
  const found = await data.read(view.path as api.ViewPath, { ...query, ...params });
  if (found === undefined) throw new AppError('not_found');
  return found;
}
