import type { Dispatcher } from '@countersign/http1-client';

type PollOptions<Answer> = Readonly<{
  /** Each request has a connection of its own: it never queues behind others, and shows that the target accepts one. */
  pool: Pick<Dispatcher, 'destroy'>;
  ask(stopped: AbortSignal): Promise<Answer>;
  /** @returns Milliseconds until the next request. */
  onAnswer(answer: Answer): number;
  /** From 0 to 1. */
  random(): number;
}>;

/** Asks a target the same thing again and again, one request at a time. */
export class Poll<Answer> {
  readonly #options: PollOptions<Answer>;
  readonly #stopped = new AbortController();
  #isStarted = false;
  /** Undefined while a request is under way. */
  #timer: NodeJS.Timeout | undefined;

  constructor(options: PollOptions<Answer>) {
    this.#options = options;
  }

  /** Calling it again is harmless. */
  start(firstInMs: number): void {
    if (!this.#isStarted) this.#schedule(firstInMs);
    this.#isStarted = true;
  }

  /** Sends the next request in this time, unless one is under way. */
  askIn(ms: number): void {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#schedule(ms);
  }

  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    this.#stopped.abort();
    await this.#options.pool.destroy();
  }

  #schedule(ms: number): void {
    this.#timer = setTimeout(() => void this.#run(), ms).unref();
  }

  async #run(): Promise<void> {
    const { ask, onAnswer, random } = this.#options;
    this.#timer = undefined;
    const answer = await ask(this.#stopped.signal);
    if (this.#stopped.signal.aborted) return;
    // Spreads the requests of gateways that started at the same time.
    this.#schedule(onAnswer(answer) * (0.9 + 0.2 * random()));
  }
}

/** Why there was no answer, for operators. */
export function noAnswerReason(error: unknown): string {
  const { code } = error as { code?: unknown };
  if (code === 'UPSTREAM_HEAD_TIMEOUT' || code === 'UPSTREAM_BODY_TIMEOUT') return 'no response in time';
  return typeof code === 'string' ? code : 'no response';
}
