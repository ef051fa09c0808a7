import { type Dispatcher, type GetOptions, type GotResponse, get } from '@countersign/http1-client';

/** A response with any status, or the reason why there was none, for operators. */
export type PollAnswer = GotResponse | string;

type PollOptions = Readonly<{
  /** Opens a connection for each request, which never queues, and proves that the target accepts connections. */
  pool: Dispatcher;
  path: string;
  request: GetOptions;
  /** @returns The milliseconds until the next request. */
  onAnswer(answer: PollAnswer): number;
  monotonicMs(): number;
  /** From 0 to 1. */
  random(): number;
}>;

/** Polls one path of a target, one request at a time. */
export class Poll {
  readonly #options: PollOptions;
  readonly #stopped = new AbortController();
  #isStarted = false;
  /** Undefined while a request is running. */
  #timer: NodeJS.Timeout | undefined;
  #beganAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: PollOptions) {
    this.#options = options;
  }

  /** Calling it again is harmless. */
  start(firstInMs: number): void {
    if (!this.#isStarted) this.#schedule(firstInMs);
    this.#isStarted = true;
  }

  /** Sends the next request soon, unless one is running. @param afterMs Counted from the start of the last request. */
  hurry(afterMs: number): void {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#schedule(Math.max(0, this.#beganAtMs + afterMs - this.#options.monotonicMs()));
  }

  /** Sends one request, even without `start`. */
  async ask(signal: AbortSignal): Promise<PollAnswer> {
    const { pool, path, request } = this.#options;
    try {
      return await get(pool, path, { ...request, signal });
    } catch (error) {
      return reasonOf(error);
    }
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
    const { onAnswer, monotonicMs, random } = this.#options;
    this.#timer = undefined;
    this.#beganAtMs = monotonicMs();
    const answer = await this.ask(this.#stopped.signal);
    if (this.#stopped.signal.aborted) return;
    // Spreads the requests of gateways that started at the same time.
    this.#schedule(onAnswer(answer) * (0.9 + 0.2 * random()));
  }
}

const reasons: Readonly<Record<string, string>> = {
  UPSTREAM_HEAD_TIMEOUT: 'no response in time',
  UPSTREAM_BODY_TIMEOUT: 'no response in time',
  UPSTREAM_RESPONSE_TOO_LARGE: 'too large',
};

function reasonOf(error: unknown): string {
  const { code } = error as { code?: unknown };
  return typeof code === 'string' ? (reasons[code] ?? code) : 'no response';
}
