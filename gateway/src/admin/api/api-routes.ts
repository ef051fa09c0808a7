import { type AdminApi, type Answers, explainEndpoint, type Query, type View, views } from '@countersign/admin-api';
import { AppError, allowOnly, createRouter, jsonBody, notStored, parseJson } from '@countersign/service-kit';
import type { Router } from 'express';
import { explainQuestion } from '../../explain/question.ts';
import type { InTurn } from '../in-turn.ts';
import { type ConsoleData, describeAdminApi } from './admin-api.ts';

/** Fits a URL-encoded token of 16 KiB, twice the longest that the gateway accepts. */
const maxBodyBytes = 64 * 1024;
const readOnly = allowOnly('GET, HEAD');

/** Serves the console's data as JSON. */
export function apiRoutes(data: ConsoleData, inTurn: InTurn): Router {
  const router = createRouter();
  router.use(['/api'], notStored);
  for (const view of views) {
    router.get(view.path, async ({ originalUrl, params }, res) => {
      const query = Object.fromEntries(new URL(originalUrl, 'http://admin').searchParams);
      res.json(await inTurn(() => readView(data, view, query, params as Query)));
    });
    router.all(view.path, readOnly);
  }
  const description = JSON.stringify(describeAdminApi());
  router.get('/api/openapi.json', (_req, res) => void res.type('application/json').send(description));
  router.all('/api/openapi.json', readOnly);
  router.post(explainEndpoint.path, parseJson(maxBodyBytes), async (req, res) => {
    res.json(await inTurn(() => data.explain(explainQuestion.parse(jsonBody(req) ?? {}))));
  });
  router.all(explainEndpoint.path, allowOnly('POST'));
  return router;
}

/** Gives the console pages the same data. */
export const apiOfPages = (data: ConsoleData): AdminApi => ({
  async read(path, query = {}) {
    const view = views.find((one) => one.path === path) as View;
    const taken = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, query[name]]));
    const inPath = path.match(/(?<=:)\w+/g) ?? [];
    return (await readView(data, view, taken(Object.keys(view.query.shape)), taken(inPath))) as Answers[typeof path];
  },
  explain: async (question) => data.explain(explainQuestion.parse(question)),
});

/**
 * @param given Only the first value of a repeated parameter counts. Surrounding spaces come from copying and are
 *   removed. An empty value counts as absent.
 * @throws ZodError for an invalid query, AppError `not_found` for an item that does not exist.
 */
async function readView(data: ConsoleData, view: View, given: Query, params: Query): Promise<unknown> {
  const query = Object.fromEntries(Object.entries(given).map(([name, value]) => [name, value?.trim() || undefined]));
  view.query.parse(query);
  const found = await data.read(view, { ...query, ...params });
  if (found === undefined) throw new AppError('not_found');
  return found;
}
