import { type Answer, type Answers, explainEndpoint, type Query, type View, views } from '@countersign/admin-api';
import { describeApi } from '@countersign/service-kit';
import { AppError, errorTable } from '../../errors.ts';
import { type ExplainQuestion, explainQuestion } from '../../explain/question.ts';
import { readCertificates } from './certificates.ts';
import { explainNow } from './explain.ts';
import { readIssuers, readRevocations } from './issuers.ts';
import { readLimits } from './limits.ts';
import { readEvents, readProcesses, readReloads } from './processes.ts';
import { readRequest, readRequests } from './requests.ts';
import { readRefusals, readRoute, readRoutes } from './routes.ts';
import type { ConsoleSources } from './sources.ts';
import { readUpstreams } from './upstreams.ts';

type Path = View['path'];

/** How one process answers each view. Undefined means that the item does not exist (404). */
const reads: { readonly [One in Path]: (sources: ConsoleSources, query: Query) => Answers[One] | undefined } = {
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
  /**
   * @param query Has passed the view's query schema.
   * @returns Undefined if the item does not exist.
   */
  read(view: View, query: Query): Promise<unknown>;
  explain(asked: ExplainQuestion): Promise<Answer>;
}>;

/** Reads the data from this process alone. */
export const ownData = (sources: ConsoleSources) => ({
  async read({ path }: Pick<View, 'path'>, query: Query): Promise<unknown> {
    if (query.worker) throw new AppError('not_found');
    return reads[path](sources, query);
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
    endpoints: [...views, { ...explainEndpoint, body: explainQuestion }],
  }) as { components: { schemas: unknown } };
  return {
    ...description,
    servers: [{ url: '/', description: 'The admin listener. `npm start` opens it at http://127.0.0.1:9090.' }],
    components: { schemas: components.schemas },
  };
}
