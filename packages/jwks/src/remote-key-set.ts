import type { KeyObject } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { assertUrl, type FetchedJwks, type FetchFailure, fetchJwks } from './fetch-jwks.ts';
import type { ImportJwk } from './import-jwk.ts';
import { heldKeys, type IgnoredKey, type KeySet, type KeySetStats, KeySetUnavailable, keyIndex } from './key-set.ts';
import { type ParsedJwks, parseJwks } from './parse-jwks.ts';
import { refreshDelayMs, retryDelayMs, type Timers, unrefTimers } from './schedule.ts';

export type KeySetEvent =
  | Readonly<{ type: 'fetched'; changed: boolean; generation: number; keys: number; nextInMs: number }>
  | Readonly<{
      type: 'failed';
      reason: FetchFailure | 'empty';
      /** The system's code or the status if known, such as `ECONNREFUSED` or `status 404`. */
      detail?: string | undefined;
      failuresInARow: number;
      nextInMs: number;
    }>
  /** Sent for each unusable key when the list of unusable keys changes. */
  | (Readonly<{ type: 'key_ignored' }> & IgnoredKey);

export type RemoteKeySetOptions = Readonly<{
  url: string;
  /** JOSE names this signer may use, e.g. `['ES256']`. */
  algorithms: readonly string[];
  /** Imports one entry of the set. Default: keys for signatures only. */
  importJwk?: ImportJwk;
  /** How long a set stays usable after its last confirmation, in milliseconds. */
  maxStaleMs: number;
  /** Longest time between two fetches. `max-age` can only shorten it. Default 10 min. */
  cacheMaxAgeMs?: number;
  /**
   * Unknown `kid`s and bad signatures cause at most one fetch without a result in this time, whether it succeeds or fails. It is also the
   * shortest lifetime of a set. Default 30 s.
   */
  cooldownMs?: number;
  /** Timeout of one fetch, body included. Default 5 s. */
  timeoutMs?: number;
  /** Largest body after decompression. Default 256 KiB. */
  maxBytes?: number;
  /** Milliseconds from any fixed origin. Default: the monotonic clock, which NTP does not step. */
  nowMs?: () => number;
  /** Returns 0 to 1, for jitter. Default `Math.random`. */
  random?: () => number;
  timers?: Timers;
  /** Makes the requests, for example with a check of each address. Default: the global fetch. */
  fetch?: typeof fetch;
  /** For logs and metrics. Never carries key material. Must not throw. */
  onEvent?: (event: KeySetEvent) => void;
}>;

/**
 * A key set fetched from a URL that stays usable while the endpoint fails. It runs one fetch at a time, refreshes before
 * the set expires, backs off after failures, and replaces the set only with one that has a usable key.
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
  #failure: KeySetStats['failure'];
  #nextAtMs = 0;
  #retryAtMs = Number.NEGATIVE_INFINITY;
  #cooldownFromMs = Number.NEGATIVE_INFINITY;
  #pending: Promise<void> | undefined;
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
      held: heldKeys(this.#held?.keys.keys() ?? []),
      ignored: this.#ignored,
      nextInMs: this.#running ? Math.max(0, this.#nextAtMs - this.#nowMs()) : undefined,
      failure: this.#failure,
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

  async lookup(kid: string, alg: string, except?: KeyObject): Promise<KeyObject | undefined> {
    const find = (): KeyObject | undefined => {
      const key = this.find(kid, alg);
      return except !== undefined && key?.equals(except) ? undefined : key;
    };
    const known = find();
    if (known !== undefined) return known;
    if (!this.ready) {
      await this.#fetchUnlessBackedOff();
      if (!this.ready) throw new KeySetUnavailable('no usable key set');
      return find();
    }
    if (this.#pending !== undefined) {
      // After a failure, the running fetch may fail or hang as well. Do not wait for it.
      this.#assertLastFetchWorked();
      await this.#pending;
      const arrived = find();
      if (arrived !== undefined) return arrived;
      this.#assertLastFetchWorked();
      // The response may be from just before this key was published, so fetch once more below.
    }
    if (this.#pending === undefined) {
      // The cool-down starts before the fetch, so that a flood of made-up kids or signatures costs one fetch while the endpoint fails, too.
      if (this.#nowMs() - this.#cooldownFromMs < this.#cooldownMs) {
        this.#assertLastFetchWorked();
        return undefined;
      }
      this.#cooldownFromMs = this.#nowMs();
    }
    // Fetch without an ETag: a coarse ETag may stay the same across two rotations within a second.
    await this.#fetch(undefined);
    const found = find();
    // The key exists, so end the cool-down. The next rotation does not have to wait for it.
    if (found !== undefined) this.#cooldownFromMs = Number.NEGATIVE_INFINITY;
    else this.#assertLastFetchWorked();
    return found;
  }

  /** @throws KeySetUnavailable while fetches fail: the signer may have published the key since the last fetch. */
  #assertLastFetchWorked(): void {
    if (this.#failuresInARow === 0) return;
    throw new KeySetUnavailable('the key is not held, and the last fetch of the key set failed');
  }

  async #fetchUnlessBackedOff(): Promise<void> {
    // After a failure, the running fetch may fail or hang as well. Do not wait for it.
    if (this.#pending !== undefined && this.#failuresInARow > 0) return;
    if (this.#pending !== undefined || this.#nowMs() >= this.#retryAtMs) await this.#fetch(this.#etag);
  }

  /** @param etag The held set's tag, when a 304 is an acceptable response. */
  #fetch(etag: string | undefined): Promise<void> {
    this.#pending ??= this.#fetchOnce(etag).finally(() => {
      this.#pending = undefined;
    });
    return this.#pending;
  }

  async #fetchOnce(etag: string | undefined): Promise<void> {
    this.#cancelTimer();
    this.#fetches += 1;
    const { url, timeoutMs = 5_000, maxBytes = 256 * 1024, fetch } = this.#options;
    const signal = this.#abort.signal;
    const result = await fetchJwks({ url, etag, timeoutMs, maxBytes, signal, fetch });
    if (!signal.aborted) this.#handle(result);
    else if (this.#running) this.#schedule(0); // The set was stopped and started again during this fetch.
  }

  #handle(result: FetchedJwks): void {
    if (result.outcome === 'failed') this.#failed(result.reason, result.detail);
    // A 304 without max-age keeps the previous one (RFC 9111 section 4.3.4).
    else if (result.outcome === 'unchanged') this.#succeeded(result.maxAgeMs ?? this.#maxAgeMs, { changed: false });
    else this.#replaceWith(result);
  }

  #replaceWith(result: Extract<FetchedJwks, { outcome: 'fetched' }>): void {
    const parsed = parseJwks(result.value, this.#options.algorithms, this.#options.importJwk);
    if (parsed !== undefined) this.#reportIgnored(parsed.ignored);
    if (parsed === undefined || parsed.keys.size === 0) {
      this.#failed(parsed === undefined ? 'malformed' : 'empty');
      return;
    }
    const changed = parsed.fingerprint !== this.#held?.fingerprint;
    if (changed) this.#generation += 1;
    this.#held = parsed;
    this.#etag = result.etag;
    this.#succeeded(result.maxAgeMs, { changed });
  }

  /** Reports ignored keys only when they change: an issuer may publish an encryption key for years. */
  #reportIgnored(ignored: readonly IgnoredKey[]): void {
    if (isDeepStrictEqual(ignored, this.#ignored)) return;
    this.#ignored = ignored;
    for (const one of ignored) this.#options.onEvent?.({ type: 'key_ignored', ...one });
  }

  #succeeded(maxAgeMs: number | undefined, { changed }: { changed: boolean }): void {
    this.#heldAtMs = this.#nowMs();
    this.#maxAgeMs = maxAgeMs;
    this.#failuresInARow = 0;
    this.#failure = undefined;
    const { cacheMaxAgeMs = 600_000 } = this.#options;
    const nextInMs = refreshDelayMs(maxAgeMs, { floorMs: this.#cooldownMs, cacheMaxAgeMs }, this.#random());
    this.#schedule(nextInMs);
    const { generation, stats } = this;
    this.#options.onEvent?.({ type: 'fetched', changed, generation, keys: stats.keys, nextInMs });
  }

  #failed(reason: FetchFailure | 'empty', detail?: string): void {
    this.#failures += 1;
    this.#failuresInARow += 1;
    const failuresInARow = this.#failuresInARow;
    const nextInMs = retryDelayMs({ held: this.ready, failuresInARow }, this.#random());
    this.#failure = { reason: detail === undefined ? reason : `${reason}: ${detail}`, failuresInARow };
    this.#retryAtMs = this.#nowMs() + nextInMs;
    this.#schedule(nextInMs);
    this.#options.onEvent?.({
      type: 'failed',
      reason,
      ...(detail !== undefined && { detail }),
      failuresInARow,
      nextInMs,
    });
  }

  #schedule(delayMs: number): void {
    this.#nextAtMs = this.#nowMs() + delayMs;
    this.#cancelTimer();
    if (this.#running) this.#cancelTimer = this.#timers.after(delayMs, () => void this.#fetch(this.#etag));
  }
}
