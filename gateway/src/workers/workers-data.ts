import { merge } from '@countersign/admin-api';
import type { z } from 'zod';
import type { StatePath } from '../admin/admin-app.ts';
import type { ConsoleData } from '../admin/api/admin-api.ts';
import { AppError } from '../errors.ts';
import type { WorkerChannel } from './worker-channel.ts';

/** Reads data that is the same in every worker, from the first one that answers. */
export async function stateOfAny(workers: readonly WorkerChannel[], path: StatePath): Promise<unknown> {
  let cause: unknown;
  for (const worker of workers) {
    try {
      return await worker.ask('state', path);
    } catch (error) {
      cause = error;
    }
  }
  throw noAnswer(cause);
}

/**
 * Returns the console's data: merged over all workers, or from one if the query names it. Leaves out a worker that
 * does not answer in time, because the other workers' data is still useful.
 */
export function workersData(workers: () => readonly WorkerChannel[]): ConsoleData {
  return {
    async read(view, { worker, ...query }) {
      const chosen = workers().filter(({ number }) => !worker || String(number) === worker);
      if (worker && chosen.length === 0) throw new AppError('not_found');
      const answers = await Promise.allSettled(chosen.map((one) => one.ask('read', view.path, query)));
      if (answers.every(({ status }) => status === 'rejected')) {
        throw noAnswer(answers.map((answer) => 'reason' in answer && answer.reason)[0]);
      }
      const parts = answers.flatMap((answer) => ('value' in answer ? (answer.value ?? []) : []));
      return parts.length === 0 ? undefined : merge<z.ZodType>(view.responses[200], parts);
    },
    async explain(question) {
      const [first] = workers();
      if (first === undefined) throw noAnswer(undefined);
      return first.ask('explain', question);
    },
  };
}

const noAnswer = (cause: unknown) => new AppError('unavailable', { cause, detail: { reason: 'no worker answered' } });
