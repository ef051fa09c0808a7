import { type Answer, explainAnswer, explainEndpoint, merge, type View } from '@countersign/admin-api';
import { Router } from 'express';
import { z } from 'zod';
import type { ConsoleData } from '../admin/api/admin-api.ts';
import type { ViewQuery } from '../admin/api/sources.ts';
import { AppError } from '../errors.ts';
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
    async read(view, query) {
      const chosen = asked(query);
      const path = pathOf(view, query);
      const answers = await Promise.allSettled(chosen.map((one) => one.get(path)));
      if (answers.every(({ status }) => status === 'rejected')) {
        throw noAnswer(answers.map((answer) => 'reason' in answer && answer.reason)[0]);
      }
      const parts = answers.flatMap((answer, at) => {
        if (answer.status === 'rejected' || answer.value.status === 404) return [];
        return [bodyOf(answer.value, chosen[at]?.number)];
      });
      return parts.length === 0 ? undefined : merge<z.ZodType>(view.responses[200], parts);
    },
    async explain(question): Promise<Answer> {
      const [first] = workers();
      if (first === undefined) throw noAnswer(undefined);
      return explainAnswer.parse(bodyOf(await first.post(explainEndpoint.path, JSON.stringify(question))));
    },
  };
}

/** Fills in the path's parameters, and adds the query that the view knows. The query of a page may have other names. */
function pathOf(view: View, query: ViewQuery): string {
  const path = view.path.replaceAll(/:(\w+)/g, (_, name: string) => encodeURIComponent(query[name] ?? ''));
  const names = Object.keys(view.query.shape).filter((name) => name !== 'worker' && query[name]);
  const rest = new URLSearchParams(names.map((name) => [name, query[name] ?? '']));
  return rest.size === 0 ? path : `${path}?${rest}`;
}

const problem = z.object({
  code: z.string(),
  errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
});

/** @param number Of the worker, which does not know it: it answers with null. */
function bodyOf({ status, body }: WorkerAnswer, number?: number): unknown {
  const value: unknown = JSON.parse(body, (key, one) => (key === 'worker' && one === null ? number : one));
  if (status === 200) return value;
  const { code, errors } = problem.parse(value);
  if (code === 'validation_failed' && errors !== undefined) throw new AppError('validation_failed', { errors });
  throw new AppError('unavailable', { detail: { reason: `a worker responded with ${status} ${code}` } });
}

const noAnswer = (cause: unknown) => new AppError('unavailable', { cause, detail: { reason: 'no worker answers' } });
