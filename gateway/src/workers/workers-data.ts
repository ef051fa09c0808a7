import { Router } from 'express';
import { z } from 'zod';
import type { ConsoleData } from '../admin/api/admin-api.ts';
import { explainEndpoint } from '../admin/api/explain.ts';
import type { View, ViewQuery } from '../admin/api/view.ts';
import { AppError } from '../errors.ts';
import { type ExplainAnswer, explainAnswer } from '../explain/answer.ts';
import type { WorkerAdmin, WorkerAnswer } from './worker-admin.ts';

/** Passes on what every worker answers in the same way. */
export function answersOfOneWorker(workers: () => readonly WorkerAdmin[]): Router {
  const router = Router({ caseSensitive: true, strict: true });
  router.get(['/.well-known/jwks.json', '/config', '/routes', '/upstreams'], async (req, res) => {
    const { status, type, body } = await firstAnswer(workers(), req.path);
    res.status(status).type(type).send(body);
  });
  return router;
}

async function firstAnswer(workers: readonly WorkerAdmin[], path: string): Promise<WorkerAnswer> {
  let cause: unknown;
  for (const worker of workers) {
    try {
      return await worker.get(path);
    } catch (error) {
      cause = error;
    }
  }
  throw noAnswer(cause);
}

/**
 * The console's data of all workers, merged; or of one, if the query names it. A worker that does not answer in time is
 * left out, because the other workers' data is still useful.
 */
export function workersData(workers: () => readonly WorkerAdmin[]): ConsoleData {
  function asked({ worker }: ViewQuery): readonly WorkerAdmin[] {
    if (!worker) return workers();
    const one = workers().filter(({ number }) => String(number) === worker);
    if (one.length === 0) throw new AppError('not_found');
    return one;
  }

  return {
    async read<Data>(view: View<Data>, query: ViewQuery): Promise<Data | undefined> {
      const chosen = asked(query);
      const path = pathOf(view, query);
      const answers = await Promise.allSettled(chosen.map((one) => one.get(path)));
      if (answers.every(({ status }) => status === 'rejected')) {
        throw noAnswer(answers.map((answer) => 'reason' in answer && answer.reason)[0]);
      }
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
      if (first === undefined) throw noAnswer(undefined);
      return explainAnswer.parse(bodyOf(await first.post(explainEndpoint.path, JSON.stringify(question))));
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

const noAnswer = (cause: unknown) => new AppError('unavailable', { cause, detail: { reason: 'no worker answers' } });
