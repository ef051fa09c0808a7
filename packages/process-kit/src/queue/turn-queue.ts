import { type Claim, type TurnBounds, Turns } from './turns.ts';

export type Turn = Claim & Readonly<{ signal?: AbortSignal | undefined }>;

export type TurnQueueOptions = TurnBounds &
  Readonly<{
    /** How much work runs at the same time. */
    concurrency: number;
    /** How long work waits for its turn, in milliseconds. */
    maxWaitMs: number;
    /** Creates the error for work that is refused. */
    refusal(reason: string): Error;
  }>;

type Waiter = Readonly<{ begin(): void; refuse(error: unknown): void }>;

/** Runs some work at a time. Waiting work is shared out between client addresses by {@link Turns}. */
export class TurnQueue {
  readonly #options: TurnQueueOptions;
  readonly #turns: Turns<Waiter>;
  #running = 0;

  constructor(options: TurnQueueOptions) {
    this.#options = options;
    this.#turns = new Turns(options);
  }

  get waiting(): number {
    return this.#turns.size;
  }

  /** @throws The queue's refusal if there is no place, or the wait takes too long. The signal's reason if it aborts. */
  async run<T>(turn: Turn, work: () => Promise<T>): Promise<T> {
    turn.signal?.throwIfAborted();
    if (this.#running < this.#options.concurrency) this.#running += 1;
    // Work that ends passes its slot on, so `#running` does not change.
    else await this.#wait(turn);
    try {
      return await work();
    } finally {
      const next = this.#turns.next();
      if (next === undefined) this.#running -= 1;
      else next.begin();
    }
  }

  async #wait({ signal, ...claim }: Turn): Promise<void> {
    const { maxWaitMs, refusal } = this.#options;
    const { promise, resolve: begin, reject: refuse } = Promise.withResolvers<void>();
    const waiter = { begin, refuse };
    const removed = this.#turns.add(claim, waiter);
    if (removed === waiter) throw refusal('too many are waiting');
    removed?.refuse(refusal('made room for another address'));
    const leave = (reason: unknown) => {
      this.#turns.remove(waiter);
      refuse(reason);
    };
    const timer = setTimeout(() => leave(refusal('waited too long')), maxWaitMs);
    const onAbort = () => leave(signal?.reason);
    signal?.addEventListener('abort', onAbort);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    }
  }
}
