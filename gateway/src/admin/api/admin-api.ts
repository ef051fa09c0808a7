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

/** The response of one process. Undefined if the item does not exist, which is a 404. */
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
   * @param query In the form that the view describes.
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
      'What the console on the admin listener shows, as JSON. With several workers, their data is merged; `?worker=N` selects one.',
    tags: [
      { name: 'Traffic', description: 'Requests, by route and individually.' },
      { name: 'State', description: 'The state of each part of the gateway, and when the state began.' },
      { name: 'Explain', description: 'How a request would be handled.' },
    ],
    errors: errorTable,
    endpoints: [...views, { ...explainEndpoint, body: explainQuestion }],
  }) as { components: { schemas: unknown } };
  return {
    ...description,
    servers: [{ url: '/', description: 'the admin listener, with `npm start` http://127.0.0.1:9090' }],
    components: { schemas: components.schemas },
  };
}
