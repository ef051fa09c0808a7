import { describeApi } from '@countersign/service-kit';
import { AppError, errorTable } from '../../errors.ts';
import type { ExplainAnswer } from '../../explain/answer.ts';
import type { ExplainQuestion } from '../../explain/question.ts';
import { certificatesView } from './certificates.ts';
import { eventsView } from './events.ts';
import { explainEndpoint, explainNow } from './explain.ts';
import { issuersView } from './issuers.ts';
import { limitsView } from './limits.ts';
import { processesView } from './process.ts';
import { refusalsView } from './refusals.ts';
import { reloadsView } from './reloads.ts';
import { requestsView, requestView } from './requests.ts';
import { revocationsView } from './revocations.ts';
import { routesView, routeView } from './routes.ts';
import { trafficView } from './traffic.ts';
import { upstreamsView } from './upstreams.ts';
import type { ConsoleSources, View, ViewQuery } from './view.ts';

const all: readonly unknown[] = [
  trafficView,
  routesView,
  routeView,
  requestsView,
  requestView,
  refusalsView,
  upstreamsView,
  issuersView,
  revocationsView,
  limitsView,
  reloadsView,
  certificatesView,
  processesView,
  eventsView,
];

/** All views, in the order of the API. Each view's `read`, `merge` and `number` share one data type. */
export const views = all as readonly View[];

/** Where the API gets its data: from this process, or from all workers. */
export type ConsoleData = Readonly<{
  /** @param query As the view describes it. @returns Undefined if the item does not exist. */
  read<Data>(view: View<Data>, query: ViewQuery): Promise<Data | undefined>;
  explain(asked: ExplainQuestion): Promise<ExplainAnswer>;
}>;

/** The data of this process alone. */
export const ownData = (sources: ConsoleSources): ConsoleData => ({
  async read(view, query) {
    if (query.worker) throw new AppError('not_found');
    return view.read(sources, query);
  },
  explain: (asked) => explainNow(asked, sources),
});

/** The OpenAPI 3.1 description of the API. The listener has no login, so there are no security schemes. */
export function describeAdminApi(): Record<string, unknown> {
  const { components, ...description } = describeApi({
    title: 'Countersign console',
    description:
      'What the console on the admin listener shows, as JSON. With several workers, their data is merged; `?worker=N` selects one.',
    tags: [
      { name: 'Traffic', description: 'Requests, by route and individually.' },
      { name: 'State', description: 'The state of each part of the gateway, and when it began.' },
      { name: 'Explain', description: 'How a request would be handled.' },
    ],
    errors: errorTable,
    endpoints: [...views.map(({ endpoint }) => endpoint), explainEndpoint],
  }) as { components: { schemas: unknown } };
  return {
    ...description,
    servers: [{ url: '/', description: 'the admin listener, with `npm start` http://127.0.0.1:9090' }],
    components: { schemas: components.schemas },
  };
}
