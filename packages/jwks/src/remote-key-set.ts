import type { KeyObject } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { assertUrl, type FetchedJwks, type FetchFailure, fetchJwks } from './fetch-jwks.ts';
import { type KeySet, type KeySetStats, KeySetUnavailable, keyIndex } from './key-set.ts';
import { type IgnoredKey, type ParsedJwks, parseJwks } from './parse-jwks.ts';
import { refreshDelayMs, retryDelayMs, type Timers, unrefTimers } from './schedule.ts';

export type KeySetEvent =
  | Readonly<{ type: 'fetched'; changed: boolean; generation: number; keys: number; nextInMs: number }>
  | Readonly<{
      type: 'failed';
      reason: FetchFailure | 'empty';
      /** The system's code or the status, where there is one: `ECONNREFUSED`, `status 404`. */
      detail?: string | undefined;
      failuresInARow: number;
      nextInMs: number;
    }>
  /** Of each key that cannot be used, whenever those are others than before. */
  | (Readonly<{ type: 'key_ignored' }> & IgnoredKey);

export type RemoteKeySetOptions = Readonly<{
  url: string;
  /** JOSE names this signer may use, e.g. `['ES256']`. */
  algorithms: readonly string[];
  /** How long a set outlives its last confirmation, in milliseconds. */
  maxStaleMs: number;
  /** Longest time between two fetches; `max-age` may only shorten it. Default 10 min. */
  cacheMaxAgeMs?: number;
  /**
   * At most one refetch that finds nothing for unknown `kid`s in this time, whether the fetch worked or not; also the shortest life of a
   * set. Default 30 s.
   */
  cooldownMs?: number;
  /** For a whole exchange. Default 5 s. */
  timeoutMs?: number;
  /** Of inflated body. Default 256 KiB. */
  maxBytes?: number;
  /** Milliseconds from any fixed origin. Default: the monotonic clock, which no NTP step can move. */
  nowMs?: () => number;
  /** From 0 to 1, for jitter. */
  random?: () => number;
  timers?: Timers;
  /** For logs and metrics. Never carries key material. Must not throw. */
  onEvent?: (event: KeySetEvent) => void;
}>;

/**
 * A key set behind a URL that keeps answering while its endpoint does not: one flight at a time, refreshed before it
 * expires, backed off on failure, and replaced only by a set with at least one usable key.
 *
 * @throws RangeError when the URL is not set, is not http(s) or carries credentials.
 */
export function remoteKeySet(options: RemoteKeySetOptions): KeySet {
  return new RemoteKeySet(options);
}

class RemoteKeySet implements KeySet {
  readonly #options: RemoteKeySetOptions;
  readonly #cooldownMs: number;
  readonly #nowMs: () => number;
  readonly #random: () => number;
  readonly #timers: Timers;
  #held: ParsedJwks | undefined;
  #heldAtMs = 0;
  #ignored: readonly IgnoredKey[] = [];
  #etag: string | undefined;
  #maxAgeMs: number | undefined;
  #generation = 0;
  #fetches = 0;
  #failures = 0;
  #failuresInARow = 0;
  #retryAtMs = Number.NEGATIVE_INFINITY;
  #askedAtMs = Number.NEGATIVE_INFINITY;
  #flight: Promise<void> | undefined;
  #abort = new AbortController();
  #running = false;
  #cancelTimer: () => void = () => {};

  constructor(options: RemoteKeySetOptions) {
    assertUrl(options.url);
    this.#options = options;
    this.#cooldownMs = options.cooldownMs ?? 30_000;
    this.#nowMs = options.nowMs ?? (() => performance.now());
    this.#random = options.random ?? Math.random;
    this.#timers = options.timers ?? unrefTimers;
  }

  get generation(): number {
    return this.#generation;
  }

  get ready(): boolean {
    return this.#held !== undefined && this.#nowMs() - this.#heldAtMs <= this.#options.maxStaleMs;
  }

  get stats(): KeySetStats {
    return {
      ageMs: this.#held === undefined ? undefined : this.#nowMs() - this.#heldAtMs,
      fetches: this.#fetches,
      failures: this.#failures,
      keys: this.#held?.keys.size ?? 0,
    };
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#abort = new AbortController();
    void this.#fetch(this.#etag);
  }

  stop(): void {
    this.#running = false;
    this.#cancelTimer();
    this.#abort.abort();
  }

  find(kid: string, alg: string): KeyObject | undefined {
    return this.ready ? this.#held?.keys.get(keyIndex(kid, alg)) : undefined;
  }

  async lookup(kid: string, alg: string): Promise<KeyObject | undefined> {
    const known = this.find(kid, alg);
    if (known !== undefined) return known;
    if (!this.ready) {
      await this.#fetchUnlessBackedOff();
      if (!this.ready) throw new KeySetUnavailable('no usable key set');
      return this.find(kid, alg);
    }
    if (this.#flight !== undefined) {
      // A fetch that follows a failure may hang too, and an unknown kid may be made up: it waits for none.
      if (this.#failuresInARow > 0) throw endpointFails();
      await this.#flight;
      const arrived = this.find(kid, alg);
      if (arrived !== undefined) return arrived;
      // Otherwise it may have been answered just before this key was published: not a no yet.
      if (this.#failuresInARow > 0) throw endpointFails();
    }
    if (this.#flight === undefined) {
      // Counted from asking, not from success: while the endpoint fails, a flood of made-up kids costs one fetch too.
      if (this.#nowMs() - this.#askedAtMs < this.#cooldownMs) return this.#unknown();
      this.#askedAtMs = this.#nowMs();
    }
    // Whole, whatever is held: that nothing changed is no answer about a key that is not there, and an ETag may be too coarse for two
    // rotations in a second.
    await this.#fetch(undefined);
    const found = this.find(kid, alg);
    if (found === undefined) return this.#unknown();
    // It was there, so nobody was guessing: the next rotation need not wait until the cool-down is over.
    this.#askedAtMs = Number.NEGATIVE_INFINITY;
    return found;
  }

  /** An old set does not tell whether its signer has published a key since. @throws KeySetUnavailable while fetches fail. */
  #unknown(): undefined {
    if (this.#failuresInARow > 0) throw endpointFails();
    return undefined;
  }

  async #fetchUnlessBackedOff(): Promise<void> {
    // One that follows a failure may hang as well: what is already late is not held up any longer.
    if (this.#flight !== undefined && this.#failuresInARow > 0) return;
    if (this.#flight !== undefined || this.#nowMs() >= this.#retryAtMs) await this.#fetch(this.#etag);
  }

  /** @param etag Of the set that is held, where a confirmation of it will do. */
  #fetch(etag: string | undefined): Promise<void> {
    this.#flight ??= this.#fly(etag).finally(() => {
      this.#flight = undefined;
    });
    return this.#flight;
  }

  async #fly(etag: string | undefined): Promise<void> {
    this.#cancelTimer();
    this.#fetches += 1;
    const { url, timeoutMs = 5_000, maxBytes = 256 * 1024 } = this.#options;
    const signal = this.#abort.signal;
    const answer = await fetchJwks({ url, etag, timeoutMs, maxBytes, signal });
    if (!signal.aborted) this.#take(answer);
    else if (this.#running) this.#again(0); // Stopped and started again while this one was under way.
  }

  #take(answer: FetchedJwks): void {
    if (answer.outcome === 'failed') this.#failed(answer.reason, answer.detail);
    // What a 304 does not say stays as it was (RFC 9111 section 4.3.4).
    else if (answer.outcome === 'unchanged') this.#succeeded(answer.maxAgeMs ?? this.#maxAgeMs, { changed: false });
    else this.#takeSet(answer);
  }

  #takeSet(answer: Extract<FetchedJwks, { outcome: 'fetched' }>): void {
    const parsed = parseJwks(answer.value, this.#options.algorithms);
    if (parsed !== undefined) this.#tellIgnored(parsed.ignored);
    if (parsed === undefined || parsed.keys.size === 0) {
      this.#failed(parsed === undefined ? 'malformed' : 'empty');
      return;
    }
    const changed = parsed.fingerprint !== this.#held?.fingerprint;
    if (changed) this.#generation += 1;
    this.#held = parsed;
    this.#etag = answer.etag;
    this.#succeeded(answer.maxAgeMs, { changed });
  }

  /** When they change: an issuer may publish a key for encryption beside its others for years. */
  #tellIgnored(ignored: readonly IgnoredKey[]): void {
    if (isDeepStrictEqual(ignored, this.#ignored)) return;
    this.#ignored = ignored;
    for (const one of ignored) this.#options.onEvent?.({ type: 'key_ignored', ...one });
  }

  #succeeded(maxAgeMs: number | undefined, { changed }: { changed: boolean }): void {
    this.#heldAtMs = this.#nowMs();
    this.#maxAgeMs = maxAgeMs;
    this.#failuresInARow = 0;
    const { cacheMaxAgeMs = 600_000 } = this.#options;
    const nextInMs = refreshDelayMs(maxAgeMs, { floorMs: this.#cooldownMs, cacheMaxAgeMs }, this.#random());
    this.#again(nextInMs);
    this.#options.onEvent?.({
      type: 'fetched',
      changed,
      generation: this.#generation,
      keys: this.stats.keys,
      nextInMs,
    });
  }

  #failed(reason: FetchFailure | 'empty', detail?: string): void {
    this.#failures += 1;
    this.#failuresInARow += 1;
    const state = { held: this.ready, failuresInARow: this.#failuresInARow };
    const nextInMs = retryDelayMs(state, this.#random());
    this.#retryAtMs = this.#nowMs() + nextInMs;
    this.#again(nextInMs);
    const { onEvent } = this.#options;
    onEvent?.({
      type: 'failed',
      reason,
      ...(detail !== undefined && { detail }),
      failuresInARow: this.#failuresInARow,
      nextInMs,
    });
  }

  #again(delayMs: number): void {
    this.#cancelTimer();
    if (this.#running) this.#cancelTimer = this.#timers.after(delayMs, () => void this.#fetch(this.#etag));
  }
}

function endpointFails(): KeySetUnavailable {
  return new KeySetUnavailable('the key is not held, and the last fetch of the key set failed');
}
