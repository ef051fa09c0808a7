import { AppError } from '../../errors.ts';
import type { ExplainAnswer } from '../../explain/answer.ts';
import type { ExplainQuestion } from '../../explain/question.ts';
import { certificatesView } from '../api/certificates.ts';
import { eventsView } from '../api/events.ts';
import { explainNow } from '../api/explain.ts';
import { issuersView } from '../api/issuers.ts';
import { limitsView } from '../api/limits.ts';
import { processesView } from '../api/process.ts';
import { refusalsView } from '../api/refusals.ts';
import { reloadsView } from '../api/reloads.ts';
import { requestsView, requestView } from '../api/requests.ts';
import { revocationsView } from '../api/revocations.ts';
import { routesView, routeView } from '../api/routes.ts';
import { trafficView } from '../api/traffic.ts';
import { upstreamsView } from '../api/upstreams.ts';
import { type ConsoleSources, checkedQuery, type View, type ViewQuery } from '../api/view.ts';

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

/** Where the console's routes get their data: from this process, or from all workers. */
export type ConsoleData = Readonly<{
  /** @returns Undefined if the item does not exist. @throws ZodError, or AppError `validation_failed`, for a bad query. */
  read<Data>(view: View<Data>, query: ViewQuery): Promise<Data | undefined>;
  explain(asked: ExplainQuestion): Promise<ExplainAnswer>;
  /** The numbers of the workers. Empty without workers. */
  workers(): readonly number[];
}>;

/** The data of this process alone. */
export const ownData = (sources: ConsoleSources): ConsoleData => ({
  async read(view, query) {
    if (query.worker) throw new AppError('not_found');
    return view.read(sources, checkedQuery(view, query));
  },
  explain: (asked) => explainNow(asked, sources),
  workers: () => [],
});
