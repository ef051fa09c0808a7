import type { KeyObject } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { assertUrl, type FetchedJwks, type FetchFailure, fetchJwks } from './fetch-jwks.ts';
import type { ImportJwk } from './import-jwk.ts';
import { type IgnoredKey, type KeySet, type KeySetStats, KeySetUnavailable, keyIndex } from './key-set.ts';
import { type ParsedJwks, parseJwks } from './parse-jwks.ts';
import { refreshDelayMs, retryDelayMs, unrefTimers } from './schedule.ts';

/** Finds a key set's URL, for example in its issuer's metadata. */
export type FindUrl = (
  limits: Readonly<{ signal: AbortSignal; timeoutMs: number }>,
) => Promise<Readonly<{ url: string }> | UrlFailure>;

/** Why the URL could not be found. */
type UrlFailure = Readonly<{ reason: string; detail?: string | undefined }>;
type Retry = Readonly<{ failuresInARow: number; nextInMs: number }>;

export type KeySetEvent =
  | Readonly<{ type: 'url_found'; url: string; changed: boolean }>
  | (Readonly<{ type: 'url_failed' }> & UrlFailure)
  | Readonly<{ type: 'fetched'; changed: boolean; generation: number; keys: number; nextInMs: number }>
  /** `detail` is the system error code or the status, if known, such as `ECONNREFUSED` or `status 404`. */
  | (Readonly<{ type: 'failed'; reason: FetchFailure | 'empty'; detail?: string | undefined }> & Retry)
  /** Sent for each unusable key when the list of unusable keys changes. */
  | (Readonly<{ type: 'key_ignored' }> & IgnoredKey);

export const defaults = {
  /** The longest time between two fetches. `max-age` can only shorten it. */
  cacheMaxAgeMs: 10 * 60_000,
  /**
   * Unknown `kid`s and bad signatures cause at most one fruitless fetch within this time, whether the fetch succeeds
   * or fails, and one more when fetches succeed again. This is also the shortest lifetime of a set.
   */
  cooldownMs: 30_000,
  /** The timeout for one fetch, including the body. */
  timeoutMs: 5_000,
  /** The largest body after decompression. */
  maxBytes: 256 * 1024,
  /** Milliseconds from any fixed origin. Default: the monotonic clock, which NTP does not change. */
  nowMs: () => performance.now(),
  /** Returns a number from 0 to 1, for jitter. */
  random: Math.random,
  timers: unrefTimers,
};

export type RemoteKeySetOptions = Readonly<Partial<typeof defaults>> &
  Readonly<{
    /**
     * The set's URL, or a function that finds it. The function runs again with the first fetch an hour later. If it
     * then fails, or if the set at a new URL is unusable, the set at the last URL stays in use.
     */
    url: string | FindUrl;
    /** The JOSE names that this signer may use, such as `['ES256']`. */
    algorithms: readonly string[];
    /** Imports one entry in the set. Default: accepts only signature keys. */
    importJwk?: ImportJwk;
    /** How long a set stays usable after it was last confirmed, in milliseconds. */
    maxStaleMs: number;
    /** Makes the requests, for example with a check of each address. Default: the global fetch. */
    fetch?: typeof fetch;
    /** Called for logs and metrics. Events never contain key material. Must not throw. */
    onEvent?: (event: KeySetEvent) => void;
  }>;

/** How long to use a URL before looking for it again. */
const urlLifeMs = 60 * 60 * 1000;

/**
 * A key set fetched from a URL, which stays usable while the endpoint fails. It runs one fetch at a time, refreshes
 * before the set expires, backs off after failures, and replaces the set only with one that has a usable key.
 *
 * @throws RangeError if the URL is not set, is not http or https, or contains credentials.
 */
export function remoteKeySet(options: RemoteKeySetOptions): KeySet {
  return new RemoteKeySet(options);
}

class RemoteKeySet implements KeySet {
  generation = 0;
  readonly #options: RemoteKeySetOptions & typeof defaults;
  /** The URL to fetch from. Undefined until it is found. */
  #url: string | undefined;
  #urlFoundAtMs = 0;
  #held: ParsedJwks | undefined;
  #heldUrl: string | undefined;
  #heldAtMs = 0;
  #ignored: readonly IgnoredKey[] = [];
  #etag: string | undefined;
  #maxAgeMs: number | undefined;
  #fetches = 0;
  #failures = 0;
  #failure: KeySetStats['failure'];
  #nextAtMs = 0;
  #cooldownFromMs = Number.NEGATIVE_INFINITY;
  #pending: Promise<void> | undefined;
  #abort = new AbortController();
  #running = false;
  #cancelTimer: () => void = () => {};

  constructor(options: RemoteKeySetOptions) {
    // A JavaScript caller may omit the URL, which is an error too.
    if (typeof options.url !== 'function') {
      assertUrl(options.url);
      this.#url = options.url;
    }
    this.#options = { ...defaults, ...options };
  }

  get ready(): boolean {
    return this.#held !== undefined && this.#options.nowMs() - this.#heldAtMs <= this.#options.maxStaleMs;
  }

  get stats(): KeySetStats {
    return {
      ageMs: this.#held === undefined ? undefined : this.#options.nowMs() - this.#heldAtMs,
      fetches: this.#fetches,
      failures: this.#failures,
      keys: this.ready ? (this.#held?.keys.size ?? 0) : 0,
      held: Array.from(this.#held?.keys.values() ?? [], ({ kid, alg }) => ({ kid, alg })),
      ignored: this.#ignored,
      nextInMs: this.#running ? Math.max(0, this.#nextAtMs - this.#options.nowMs()) : undefined,
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
    return this.ready ? this.#held?.keys.get(keyIndex(kid, alg))?.key : undefined;
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
      if (this.ready) return find();
      const isFound = this.#url !== undefined;
      throw new KeySetUnavailable(isFound ? 'no usable key set' : "the issuer's metadata cannot be used");
    }
    if (this.#pending !== undefined) {
      // After a failure, the running fetch may fail or hang too, so the lookup does not wait for it.
      this.#assertLastFetchWorked();
      await this.#pending;
      const arrived = find();
      if (arrived !== undefined) return arrived;
      this.#assertLastFetchWorked();
      // The response may be older than this key, so the code below fetches once more.
    }
    if (this.#pending === undefined) {
      // It starts before the fetch, so that a flood of made-up kids costs only one, even while the endpoint fails.
      if (this.#options.nowMs() - this.#cooldownFromMs < this.#options.cooldownMs) {
        this.#assertLastFetchWorked();
        return undefined;
      }
      this.#cooldownFromMs = this.#options.nowMs();
    }
    // Fetches without an ETag, because a coarse ETag may stay the same across two rotations within a second.
    await this.#fetch(undefined);
    const found = find();
    // The key exists, so this ends the cool-down. The next rotation then need not wait for it.
    if (found !== undefined) this.#cooldownFromMs = Number.NEGATIVE_INFINITY;
    else this.#assertLastFetchWorked();
    return found;
  }

  /** @throws KeySetUnavailable while fetches fail: the signer may have published the key since the last one. */
  #assertLastFetchWorked(): void {
    if (this.#failure === undefined) return;
    throw new KeySetUnavailable('the key is unknown, and the last key set fetch failed');
  }

  /** As in {@link lookup}, does not wait for a fetch that follows a failed one. */
  async #fetchUnlessBackedOff(): Promise<void> {
    const mayFetch = this.#pending === undefined && this.#options.nowMs() >= this.#nextAtMs;
    if (this.#failure === undefined || mayFetch) await this.#fetch(this.#etag);
  }

  /** @param etag The current set's ETag, if a 304 response is acceptable. */
  #fetch(etag: string | undefined): Promise<void> {
    this.#pending ??= this.#fetchOnce(etag).finally(() => {
      this.#pending = undefined;
    });
    return this.#pending;
  }

  async #fetchOnce(etag: string | undefined): Promise<void> {
    this.#cancelTimer();
    this.#fetches += 1;
    const { timeoutMs, maxBytes, fetch } = this.#options;
    const { signal } = this.#abort;
    await this.#findUrl(signal, timeoutMs);
    // A usable set at a new URL replaces the current one.
    for (const url of new Set([this.#url, this.#heldUrl])) {
      if (url === undefined || signal.aborted) continue;
      const tag = url === this.#heldUrl ? etag : undefined;
      const result = await fetchJwks({ url, etag: tag, timeoutMs, maxBytes, signal, fetch });
      if (!signal.aborted && this.#handle(result, url)) break;
    }
    if (signal.aborted && this.#running) this.#schedule(0); // The set was stopped and started again during this fetch.
  }

  async #findUrl(signal: AbortSignal, timeoutMs: number): Promise<void> {
    const { url: find, onEvent } = this.#options;
    if (typeof find === 'string') return;
    if (this.#url !== undefined && this.#options.nowMs() - this.#urlFoundAtMs < urlLifeMs) return;
    const found = await find({ signal, timeoutMs });
    if (signal.aborted) return;
    if ('reason' in found) {
      if (this.#url === undefined) this.#backOff(`metadata: ${found.reason}`);
      onEvent?.({ type: 'url_failed', ...found });
      return;
    }
    onEvent?.({ type: 'url_found', url: found.url, changed: found.url !== this.#url });
    this.#url = found.url;
    this.#urlFoundAtMs = this.#options.nowMs();
  }

  /** @returns Whether there is a usable set at the URL. */
  #handle(result: FetchedJwks, url: string): boolean {
    if (result.outcome === 'fetched') return this.#replaceWith(result, url);
    if (result.outcome === 'failed') this.#failed(result.reason, result.detail);
    // A 304 without max-age keeps the previous max-age (RFC 9111 section 4.3.4).
    else this.#succeeded(result.maxAgeMs ?? this.#maxAgeMs, { changed: false });
    return result.outcome === 'unchanged';
  }

  #replaceWith(result: Extract<FetchedJwks, { outcome: 'fetched' }>, url: string): boolean {
    const parsed = parseJwks(result.value, this.#options.algorithms, this.#options.importJwk);
    if (parsed !== undefined) this.#reportIgnored(parsed.ignored);
    if (!parsed?.isUsable) {
      this.#failed(parsed === undefined ? 'malformed' : 'empty');
      return false;
    }
    const changed = parsed.fingerprint !== this.#held?.fingerprint;
    if (changed) this.generation += 1;
    this.#held = parsed;
    this.#heldUrl = url;
    this.#etag = result.etag;
    this.#succeeded(result.maxAgeMs, { changed });
    return true;
  }

  /** Reports ignored keys only when they change, because an issuer may publish an encryption key for years. */
  #reportIgnored(ignored: readonly IgnoredKey[]): void {
    if (isDeepStrictEqual(ignored, this.#ignored)) return;
    this.#ignored = ignored;
    for (const one of ignored) this.#options.onEvent?.({ type: 'key_ignored', ...one });
  }

  #succeeded(maxAgeMs: number | undefined, { changed }: { changed: boolean }): void {
    this.#heldAtMs = this.#options.nowMs();
    this.#maxAgeMs = maxAgeMs;
    // A fetch that failed did not show that a key does not exist.
    if (this.#failure !== undefined) this.#cooldownFromMs = Number.NEGATIVE_INFINITY;
    this.#failure = undefined;
    const { cacheMaxAgeMs, cooldownMs: floorMs, random, onEvent } = this.#options;
    const nextInMs = refreshDelayMs(maxAgeMs, { floorMs, cacheMaxAgeMs }, random());
    this.#schedule(nextInMs);
    onEvent?.({ type: 'fetched', changed, generation: this.generation, keys: this.stats.keys, nextInMs });
  }

  #failed(reason: FetchFailure | 'empty', detail?: string): void {
    const delays = this.#backOff(detail === undefined ? reason : `${reason}: ${detail}`);
    this.#options.onEvent?.({ type: 'failed', reason, ...(detail !== undefined && { detail }), ...delays });
  }

  #backOff(reason: string): Retry {
    this.#failures += 1;
    const failuresInARow = (this.#failure?.failuresInARow ?? 0) + 1;
    const nextInMs = retryDelayMs({ held: this.ready, failuresInARow }, this.#options.random());
    this.#failure = { reason, failuresInARow };
    this.#schedule(nextInMs);
    return { failuresInARow, nextInMs };
  }

  #schedule(delayMs: number): void {
    this.#nextAtMs = this.#options.nowMs() + delayMs;
    this.#cancelTimer();
    if (this.#running) this.#cancelTimer = this.#options.timers.after(delayMs, () => void this.#fetch(this.#etag));
  }
}
