import { type Dispatcher, get, headerOf } from '@countersign/http1-client';
import { type AgreementPublicKey, agreementKeysIn } from '@countersign/identity';
import { noAnswerReason, Poll } from '../pool/poll.ts';

/** Where a target is, and how to connect to it. */
export type FollowedAddress = Readonly<{ origin: string; openSingleUse(timeoutMs: number): Dispatcher }>;

type FollowOptions = Readonly<{
  /** Called after every fetch. */
  onFetched(): void;
  /** Milliseconds of a monotonic clock. */
  monotonicMs(): number;
  /** From 0 to 1. */
  random(): number;
}>;

/** The keys that a target publishes, or the reason why they are not known. */
type FetchedKeys = readonly AgreementPublicKey[] | string;

/** Shorter than the 15 minutes in which a service publishes its old key beside the new one. */
const refreshMs = 60_000;
const firstRetryMs = 250;
/** While no key is known, requests are signed with ed25519, so this is only about cost. */
const longestRetryMs = 5_000;
const soonestMs = 1_000;

/** The keys of one target, fetched again and again. A failed fetch keeps the keys that are known. */
export class FollowedTarget {
  readonly origin: string;
  /** The keys that the target published last. Undefined: not fetched yet. */
  keys: readonly AgreementPublicKey[] | undefined;
  /** When a fetch confirmed them, in monotonic milliseconds. */
  confirmedAtMs = Number.NEGATIVE_INFINITY;
  /** Why the last fetch failed. Undefined: it succeeded, or there was none. */
  failure: string | undefined;
  readonly #options: FollowOptions;
  readonly #pool: Dispatcher;
  readonly #poll: Poll<FetchedKeys>;
  #beganAtMs = Number.NEGATIVE_INFINITY;
  #failuresInARow = 0;

  constructor({ origin, openSingleUse }: FollowedAddress, options: FollowOptions) {
    this.origin = origin;
    this.#options = options;
    this.#pool = openSingleUse(timeoutMs);
    this.#poll = new Poll({
      pool: this.#pool,
      random: options.random,
      ask: (stopped) => {
        this.#beganAtMs = options.monotonicMs();
        return fetchAgreementKeys(this.#pool, stopped);
      },
      onAnswer: (fetched) => this.#onFetched(fetched),
    });
  }

  /** Calling it again is harmless. */
  start(): void {
    this.#poll.start(0);
  }

  /** Fetches now, unless a fetch is under way or one began in the last second. */
  fetchNow(): void {
    this.#poll.askIn(Math.max(0, this.#beganAtMs + soonestMs - this.#options.monotonicMs()));
  }

  /** Fetches once, without `start`. Undefined: the target does not answer with a key set in this time. */
  async fetchOnce(timeoutMs: number): Promise<readonly AgreementPublicKey[] | undefined> {
    const fetched = await fetchAgreementKeys(this.#pool, AbortSignal.timeout(timeoutMs));
    return typeof fetched === 'string' ? undefined : fetched;
  }

  stop(): Promise<void> {
    return this.#poll.stop();
  }

  #onFetched(fetched: FetchedKeys): number {
    if (typeof fetched === 'string') {
      this.failure = fetched;
      this.#failuresInARow += 1;
    } else {
      this.failure = undefined;
      this.#failuresInARow = 0;
      this.keys = fetched;
      this.confirmedAtMs = this.#options.monotonicMs();
    }
    this.#options.onFetched();
    const failures = this.#failuresInARow;
    return failures === 0 ? refreshMs : Math.min(longestRetryMs, firstRetryMs * 2 ** (failures - 1));
  }
}

const path = '/.well-known/jwks.json';
const timeoutMs = 5_000;
const maxBodyBytes = 64 * 1024;
/** A service publishes one key, and two while it replaces it. */
const maxKeys = 4;

/**
 * Fetches a target's key set once. Redirects are not followed: another host could supply any key.
 *
 * @returns The keys for agreement, at most four. None if the target publishes no key set.
 */
async function fetchAgreementKeys(pool: Dispatcher, signal: AbortSignal): Promise<FetchedKeys> {
  try {
    const headers = ['user-agent', 'countersign-keys', 'accept', 'application/jwk-set+json, application/json'];
    const response = await get(pool, path, { headers, maxBodyBytes, timeoutMs, signal });
    const { status, body } = response;
    if (status !== 200) return status === 404 || status === 410 ? [] : `status ${status}`;
    if (headerOf(response, 'content-encoding') !== undefined) return 'content-encoding';
    return agreementKeysIn(JSON.parse(body.toString('utf8')))?.slice(0, maxKeys) ?? 'not a key set';
  } catch (error) {
    if (error instanceof SyntaxError) return 'not a key set';
    const reason = noAnswerReason(error);
    return reason === 'UPSTREAM_RESPONSE_TOO_LARGE' ? 'too large' : reason;
  }
}
