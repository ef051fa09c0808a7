import { z } from 'zod';
import { explainEndpoint } from '../admin/api/explain.ts';
import type { View, ViewQuery } from '../admin/api/view.ts';
import type { ConsoleData } from '../admin/console/console-data.ts';
import { AppError } from '../errors.ts';
import { type ExplainAnswer, explainAnswer } from '../explain/answer.ts';
import type { WorkerAdminClient, WorkerAnswer } from './worker-admin.ts';

/** A worker that serves now. */
export type NumberedWorker = Readonly<{ number: number; admin: WorkerAdminClient }>;

/**
 * The console's data of all workers, merged; or of one, if the query names it. A worker that does not answer in time is
 * left out, because the other workers' data is still useful.
 */
export function workersData(workers: () => readonly NumberedWorker[]): ConsoleData {
  function asked({ worker }: ViewQuery): readonly NumberedWorker[] {
    if (!worker) return workers();
    const one = workers().filter(({ number }) => String(number) === worker);
    if (one.length === 0) throw new AppError('not_found');
    return one;
  }

  return {
    workers: () => workers().map(({ number }) => number),
    async read<Data>(view: View<Data>, query: ViewQuery): Promise<Data | undefined> {
      const chosen = asked(query);
      const path = pathOf(view, query);
      const answers = await Promise.allSettled(chosen.map(({ admin }) => admin.get(path)));
      if (answers.every(({ status }) => status === 'rejected')) throw noAnswer(answers);
      const parts = answers.flatMap((answer, at) => {
        if (answer.status === 'rejected' || answer.value.status === 404) return [];
        const part = bodyOf(answer.value) as Data;
        const number = chosen[at]?.number ?? 0;
        return [view.number === undefined ? part : view.number(part, number)];
      });
      return parts.length === 0 ? undefined : view.merge(parts, query);
    },
    async explain(question): Promise<ExplainAnswer> {
      const [first] = workers();
      if (first === undefined) throw noAnswer([]);
      return explainAnswer.parse(bodyOf(await first.admin.post(explainEndpoint.path, JSON.stringify(question))));
    },
  };
}

/** Fills in the path's parameters, and adds the query that the view knows. The query of a page may have other names. */
function pathOf({ endpoint }: Pick<View, 'endpoint'>, query: ViewQuery): string {
  const path = endpoint.path.replaceAll(/:(\w+)/g, (_, name: string) => encodeURIComponent(query[name] ?? ''));
  const names = Object.keys(endpoint.query.shape).filter((name) => name !== 'worker' && query[name]);
  const rest = new URLSearchParams(names.map((name) => [name, query[name] ?? '']));
  return rest.size === 0 ? path : `${path}?${rest}`;
}

const problem = z.object({
  code: z.string(),
  errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
});

function bodyOf({ status, body }: WorkerAnswer): unknown {
  const value: unknown = JSON.parse(body);
  if (status === 200) return value;
  const { code, errors } = problem.parse(value);
  if (code === 'validation_failed' && errors !== undefined) throw new AppError('validation_failed', { errors });
  throw new AppError('unavailable', { detail: { reason: `a worker responded with ${status} ${code}` } });
}

function noAnswer(answers: readonly PromiseSettledResult<unknown>[]): AppError {
  const cause = answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason] : []))[0];
  return new AppError('unavailable', { cause, detail: { reason: 'no worker answers' } });
}
