import type { Dispatcher } from '@countersign/http1-client';
import type { AgreementPublicKey } from '@countersign/identity';
import { fetchAgreementKeys, keySetTimeoutMs } from './fetch-keys.ts';

/** Where a target is, and how to connect to it. */
export type FollowedAddress = Readonly<{ origin: string; openSingleUse(timeoutMs: number): Dispatcher }>;

type FollowOptions = FollowedAddress &
  Readonly<{
    /** Called after every fetch. */
    onFetched(): void;
    /** Milliseconds of a monotonic clock. */
    monotonicMs(): number;
    /** From 0 to 1. */
    random(): number;
  }>;

/** The keys of one target, fetched again and again. */
export type FollowedTarget = Readonly<{
  origin: string;
  /** The keys that the target published last. Undefined: not fetched yet. */
  keys(): readonly AgreementPublicKey[] | undefined;
  /** When a fetch confirmed them, in monotonic milliseconds. */
  confirmedAtMs(): number;
  /** Why the last fetch failed. Undefined: it succeeded, or there was none. */
  failure(): string | undefined;
  /** Fetches once, without `start`. Undefined: the target does not answer with a key set in this time. */
  fetchOnce(timeoutMs: number): Promise<readonly AgreementPublicKey[] | undefined>;
  /** Fetches now, unless a fetch is under way or one began in the last second. */
  fetchNow(): void;
  /** Calling it again is harmless. */
  start(): void;
  stop(): Promise<void>;
}>;

/** Shorter than the 15 minutes in which a service publishes its old key beside the new one. */
const refreshMs = 60_000;
const firstRetryMs = 250;
/** While no key is known, requests are signed with ed25519, so this is only about cost. */
const longestRetryMs = 5_000;
const soonestMs = 1_000;

/** Follows a target's key set, over connections like those of requests. A failed fetch keeps the keys that are known. */
export function followTarget(options: FollowOptions): FollowedTarget {
  const { origin, onFetched, monotonicMs, random } = options;
  const pool = options.openSingleUse(keySetTimeoutMs);
  const stopped = new AbortController();
  let keys: readonly AgreementPublicKey[] | undefined;
  let confirmedAtMs = Number.NEGATIVE_INFINITY;
  let beganAtMs = Number.NEGATIVE_INFINITY;
  let failure: string | undefined;
  let failuresInARow = 0;
  let timer: NodeJS.Timeout | undefined;
  let isRunning = false;

  async function refresh(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    beganAtMs = monotonicMs();
    const fetched = await fetchAgreementKeys(pool, stopped.signal);
    if (stopped.signal.aborted) return;
    if (typeof fetched === 'string') {
      failure = fetched;
      failuresInARow += 1;
    } else {
      failure = undefined;
      failuresInARow = 0;
      keys = fetched;
      confirmedAtMs = monotonicMs();
    }
    onFetched();
    const waitMs =
      failuresInARow === 0 ? refreshMs : Math.min(longestRetryMs, firstRetryMs * 2 ** (failuresInARow - 1));
    // Spreads the fetches of gateways that started at the same time.
    schedule(waitMs * (0.9 + 0.2 * random()));
  }

  function schedule(ms: number): void {
    timer = setTimeout(() => void refresh(), ms).unref();
  }

  return {
    origin,
    keys: () => keys,
    confirmedAtMs: () => confirmedAtMs,
    failure: () => failure,
    async fetchOnce(timeoutMs) {
      const fetched = await fetchAgreementKeys(pool, AbortSignal.any([stopped.signal, AbortSignal.timeout(timeoutMs)]));
      return typeof fetched === 'string' ? undefined : fetched;
    },
    fetchNow() {
      if (timer === undefined) return;
      clearTimeout(timer);
      const waitMs = beganAtMs + soonestMs - monotonicMs();
      if (waitMs > 0) schedule(waitMs);
      else void refresh();
    },
    start() {
      if (isRunning) return;
      isRunning = true;
      void refresh();
    },
    async stop() {
      clearTimeout(timer);
      stopped.abort();
      await pool.destroy();
    },
  };
}
