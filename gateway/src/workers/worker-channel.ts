import type { Worker } from 'node:cluster';
import { mergeAnswers } from '@countersign/console';
import type { ConsoleData } from '../admin/api/admin-api.ts';
import { AppError } from '../errors.ts';
import type { PrimaryMessage, WorkerAnswer, WorkerAnswers } from './worker-process.ts';

const answerWithinMs = 2_000;
// A token with an unknown key may make the worker fetch the issuer's keys.
const explainWithinMs = 10_000;

export class WorkerChannel {
  readonly number: number;
  readonly #worker: Worker;
  readonly #waiting = new Map<number, (answer: WorkerAnswer) => void>();
  #lastId = 0;

  constructor(number: number, worker: Worker) {
    this.number = number;
    this.#worker = worker;
  }

  receive(answer: WorkerAnswer): void {
    this.#waiting.get(answer.id)?.(answer);
  }

  /** @throws Error if the worker does not answer within 2 s (`explain`: 10 s). AppError if it refuses. */
  async ask<Ask extends keyof WorkerAnswers>(
    ask: Ask,
    ...given: Parameters<WorkerAnswers[Ask]>
  ): Promise<Awaited<ReturnType<WorkerAnswers[Ask]>>> {
    this.#lastId += 1;
    const id = this.#lastId;
    const { promise, resolve, reject } = Promise.withResolvers<WorkerAnswer>();
    this.#waiting.set(id, resolve);
    const tooLate = () => reject(new Error('the worker does not answer'));
    const timer = setTimeout(tooLate, ask === 'explain' ? explainWithinMs : answerWithinMs);
    this.#worker.send({ countersign: { id, ask, given } } satisfies PrimaryMessage, (error) => error && reject(error));
    try {
      const { answer, failed } = await promise;
      if (failed !== undefined) throw refusalOf(failed);
      return answer && JSON.parse(answer, ask === 'read' ? this.#withNumber : undefined);
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(id);
    }
  }

  /** Fills in the worker's number. A worker does not know its own number, so it responds with null. */
  readonly #withNumber = (key: string, value: unknown) => (key === 'worker' && value === null ? this.number : value);
}

function refusalOf({ code, errors }: NonNullable<WorkerAnswer['failed']>): AppError {
  if (code === 'validation_failed' && errors !== undefined) return new AppError('validation_failed', { errors });
  return new AppError('unavailable', { detail: { reason: `a worker responded with ${code}` } });
}

/** Reads data that is the same in every worker, from the first one that answers. */
export async function stateOfAny(workers: readonly WorkerChannel[], path: string): Promise<unknown> {
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

/** Merged over all workers, or from one if the query names it. Leaves out workers that do not answer in time. */
export function workersData(workers: () => readonly WorkerChannel[]): ConsoleData {
  return {
    async read(path, { worker, ...query }) {
      const chosen = workers().filter(({ number }) => !worker || String(number) === worker);
      if (worker && chosen.length === 0) throw new AppError('not_found');
      const answers = await Promise.allSettled(chosen.map((one) => one.ask('read', path, query)));
      if (answers.every(({ status }) => status === 'rejected')) {
        throw noAnswer(answers.map((answer) => 'reason' in answer && answer.reason)[0]);
      }
      const parts = answers.flatMap((answer) => ('value' in answer ? (answer.value ?? []) : []));
      return parts.length === 0 ? undefined : mergeAnswers(path, parts);
    },
    async explain(question) {
      const [first] = workers();
      if (first === undefined) throw noAnswer(undefined);
      return first.ask('explain', question);
    },
  };
}

const noAnswer = (cause: unknown) => new AppError('unavailable', { cause, detail: { reason: 'no worker answered' } });
