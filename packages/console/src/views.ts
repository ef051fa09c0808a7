import { toAppError } from '@countersign/process-kit';
import type { z } from 'zod';
import type { Frame } from './html/layout.ts';
import type { ConsolePage } from './html/parts.ts';
import { certificatesPage, certificatesView } from './resources/certificates.ts';
import { explainFormPage } from './resources/explanation.ts';
import { issuersPage, issuersView } from './resources/issuers.ts';
import { limitsPage, limitsView } from './resources/limits.ts';
import { overviewPage } from './resources/overview.ts';
import { reloadsPage, reloadsView } from './resources/reloads.ts';
import { requestPage, requestsPage, requestsView, requestView } from './resources/requests.ts';
import { revocationsPage, revocationsView } from './resources/revocations.ts';
import { refusalsView, routePage, routesPage, routesView, routeView } from './resources/routes.ts';
import { trafficView } from './resources/traffic.ts';
import { upstreamsPage, upstreamsView } from './resources/upstreams.ts';
import { eventsView, workersPage, workersView } from './resources/workers.ts';
import { merge, type Since, worstFirst } from './schema/merge.ts';
import type { ReadView } from './schema/view.ts';

export const views = [
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
  workersView,
  eventsView,
] as const;

type View = (typeof views)[number];

export type ViewPath = View['path'];

export type Answers = { [One in View as One['path']]: z.output<One['responses'][200]> };

/** Sorts and limits a process's answer, and merges it with those of other processes, if there are any. */
export function mergeAnswers(path: ViewPath, answers: readonly unknown[]): unknown {
  const { responses } = views.find((one) => one.path === path) as View;
  return merge<z.ZodType>(responses[200], answers);
}

export const consolePages: readonly ConsolePage[] = [
  overviewPage,
  routesPage,
  routePage,
  requestsPage,
  requestPage,
  explainFormPage,
  upstreamsPage,
  issuersPage,
  revocationsPage,
  limitsPage,
  reloadsPage,
  certificatesPage,
  workersPage,
];

/** Reads the gateway's state for the layout of every page. The state is unknown if no worker answers. */
export async function frameFor(
  read: ReadView,
  chosen: string | undefined,
  nowMs: number,
): Promise<Pick<Frame, 'gateway' | 'configuration' | 'workers' | 'worker'>> {
  try {
    const [{ processes }, { state }] = await Promise.all([read(workersView), read(reloadsView)]);
    const workers = processes.flatMap(({ worker }) => worker ?? []);
    return {
      gateway: worstOf(processes.map((one) => one.state)),
      configuration: state,
      workers,
      worker: workers.find((one) => String(one) === chosen),
    };
  } catch (error) {
    if (toAppError(error).code !== 'unavailable') throw error;
    const unknown = { state: 'no answer', since: new Date(nowMs).toISOString(), why: null };
    return { gateway: unknown, configuration: unknown, workers: [], worker: undefined };
  }
}

/** Returns the worst state, since the first process had it. */
function worstOf(states: readonly Since[]): Since {
  const [worst] = states.toSorted(worstFirst(['ready']));
  return worst ?? { state: 'no answer', since: '', why: null };
}
