import {
  type FetchedJwks,
  type FetchFailure,
  fetchJwks,
  type KeySet,
  KeySetUnavailable,
  type RemoteKeySetOptions,
  remoteKeySet,
  retryDelayMs,
  unrefTimers,
} from '@countersign/jwks';
import { isLoopback, isPlainHttp } from '../config/schema/values/urls.ts';
import { guardedFetch } from './guarded-fetch.ts';

export type DiscoveryEvent =
  | Readonly<{ type: 'found'; url: string }>
  | Readonly<{ type: 'failed'; reason: FetchFailure | 'issuer_mismatch' | 'url_refused'; detail: string | undefined }>;

export type DiscoveryOptions = Omit<RemoteKeySetOptions, 'url'> &
  Readonly<{ onDiscovery(event: DiscoveryEvent): void }>;

const refreshMs = 60 * 60 * 1000;
const maxBytes = 256 * 1024;

/**
 * The keys of an issuer whose URL is in its metadata (OpenID Connect Discovery 1.0, RFC 8414). The metadata decides nothing but that
 * URL. It must name the issuer exactly, without a redirect, and must not lead to an address closer to this network than the
 * issuer's own. Metadata that fails later never drops keys.
 */
export function discoveredKeySet(issuer: string, options: DiscoveryOptions): KeySet {
  return new DiscoveredKeySet(issuer, options);
}

class DiscoveredKeySet implements KeySet {
  readonly #issuer: string;
  readonly #options: DiscoveryOptions;
  /** The operator chose the issuer, so its own address may be anywhere. */
  readonly #metadata = guardedFetch(() => 'loopback');
  readonly #keys = guardedFetch(() => this.#metadata.reached());
  #held: Readonly<{ url: string; keys: KeySet }> | undefined;
  /** A set from a new URL, until its first fetch works. */
  #next: Readonly<{ url: string; keys: KeySet }> | undefined;
  #generationBefore = 0;
  #failuresInARow = 0;
  #failure: KeySet['stats']['failure'];
  #retryAtMs = Number.NEGATIVE_INFINITY;
  #running = false;
  #abort = new AbortController();
  #pending: Promise<void> | undefined;
  #cancelTimer: () => void = () => {};

  constructor(issuer: string, options: DiscoveryOptions) {
    this.#issuer = issuer;
    this.#options = options;
  }

  get generation(): number {
    return this.#generationBefore + (this.#held?.keys.generation ?? 0);
  }

  get ready(): boolean {
    return this.#held?.keys.ready === true;
  }

  get stats(): KeySet['stats'] {
    return (
      this.#held?.keys.stats ?? {
        ageMs: undefined,
        fetches: 0,
        failures: this.#failuresInARow,
        keys: 0,
        held: [],
        ignored: [],
        nextInMs: this.#running ? Math.max(0, this.#retryAtMs - this.#now()) : undefined,
        failure: this.#failure,
      }
    );
  }

  find(kid: string, alg: string): ReturnType<KeySet['find']> {
    return this.#held?.keys.find(kid, alg);
  }

  async lookup(...key: Parameters<KeySet['lookup']>): ReturnType<KeySet['lookup']> {
    if (this.#held === undefined && this.#now() >= this.#retryAtMs) await this.#discover();
    if (this.#held === undefined) throw new KeySetUnavailable('the metadata of the issuer cannot be used');
    return this.#held.keys.lookup(...key);
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#abort = new AbortController();
    this.#held?.keys.start();
    void this.#discover();
  }

  stop(): void {
    this.#running = false;
    this.#cancelTimer();
    this.#abort.abort();
    this.#held?.keys.stop();
    this.#next?.keys.stop();
    this.#next = undefined;
  }

  #now(): number {
    return this.#options.nowMs?.() ?? performance.now();
  }

  #discover(): Promise<void> {
    this.#pending ??= this.#discoverOnce().finally(() => {
      this.#pending = undefined;
    });
    return this.#pending;
  }

  async #discoverOnce(): Promise<void> {
    this.#cancelTimer();
    const { signal } = this.#abort;
    const event = await this.#readMetadata(signal);
    if (signal.aborted) return;
    if (event.type === 'failed') {
      this.#failuresInARow += 1;
      this.#failure = { reason: `metadata: ${event.reason}`, failuresInARow: this.#failuresInARow };
      const state = { held: this.ready, failuresInARow: this.#failuresInARow };
      const delayMs = retryDelayMs(state, this.#options.random?.() ?? Math.random());
      this.#retryAtMs = this.#now() + delayMs;
      // Retries of one failure are not news.
      if (this.#failuresInARow === 1 || this.#failuresInARow % 20 === 0) this.#options.onDiscovery(event);
      this.#schedule(delayMs);
      return;
    }
    this.#failuresInARow = 0;
    this.#schedule(refreshMs);
    if (event.url === this.#held?.url) {
      this.#next?.keys.stop();
      this.#next = undefined;
    } else if (event.url !== this.#next?.url) {
      this.#options.onDiscovery(event);
      this.#use(event.url);
    }
  }

  async #readMetadata(signal: AbortSignal): Promise<DiscoveryEvent> {
    let failure: DiscoveryEvent | undefined;
    for (const url of metadataUrls(this.#issuer)) {
      const timeoutMs = this.#options.timeoutMs ?? 5_000;
      const result = await fetchJwks({
        url,
        etag: undefined,
        timeoutMs,
        maxBytes,
        signal,
        fetch: this.#metadata.fetch,
      });
      const event = readResult(result, this.#issuer);
      if (event.type === 'found') return event;
      failure ??= event;
      // Only a missing document is a reason to look at the other place.
      if (event.reason !== 'status') return event;
    }
    return failure ?? { type: 'failed', reason: 'malformed', detail: undefined };
  }

  #use(url: string): void {
    this.#next?.keys.stop();
    const { onEvent, ...options } = this.#options;
    const keys = remoteKeySet({
      ...options,
      url,
      fetch: this.#keys.fetch,
      onEvent: (event) => {
        onEvent?.(event);
        if (event.type === 'fetched' && this.#next?.keys === keys) this.#swapIn({ url, keys });
      },
    });
    if (this.#held === undefined) this.#held = { url, keys };
    else this.#next = { url, keys };
    if (this.#running) keys.start();
  }

  /** The old keys verify until the new ones are there. */
  #swapIn(next: Readonly<{ url: string; keys: KeySet }>): void {
    const old = this.#held;
    this.#generationBefore = this.generation;
    this.#held = next;
    this.#next = undefined;
    old?.keys.stop();
  }

  #schedule(delayMs: number): void {
    this.#cancelTimer();
    const timers = this.#options.timers ?? unrefTimers;
    if (this.#running) this.#cancelTimer = timers.after(delayMs, () => void this.#discover());
  }
}

/** OpenID Connect Discovery 1.0 section 4, then RFC 8414 section 3.1. */
function metadataUrls(issuer: string): readonly [string, string] {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, '');
  return [
    `${origin}${path}/.well-known/openid-configuration`,
    `${origin}/.well-known/oauth-authorization-server${path}`,
  ];
}

function readResult(result: FetchedJwks, issuer: string): DiscoveryEvent {
  const failed = (reason: Extract<DiscoveryEvent, { type: 'failed' }>['reason'], detail?: string): DiscoveryEvent => ({
    type: 'failed',
    reason,
    detail,
  });
  if (result.outcome !== 'fetched')
    return failed(result.outcome === 'failed' ? result.reason : 'malformed', detailOf(result));
  const { value } = result;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return failed('malformed');
  const document = value as Readonly<Record<string, unknown>>;
  if (document.issuer !== issuer) {
    return failed('issuer_mismatch', `it names ${JSON.stringify(document.issuer)?.slice(0, 200)}`);
  }
  // A document with one endpoint over plain http is not the one that the provider serves to browsers.
  const bad = Object.entries(document).find(([name, url]) => isEndpoint(name) && !isAcceptable(url, issuer));
  if (bad !== undefined) return failed('url_refused', bad[0]);
  const { jwks_uri: url } = document;
  return typeof url === 'string' ? { type: 'found', url } : failed('url_refused', 'jwks_uri');
}

const detailOf = (result: FetchedJwks): string | undefined => (result.outcome === 'failed' ? result.detail : undefined);

const isEndpoint = (name: string): boolean => name === 'jwks_uri' || name.endsWith('_endpoint');

/** https; http on this machine, or where the operator chose an issuer over http. */
function isAcceptable(text: unknown, issuer: string): boolean {
  const url = typeof text === 'string' ? URL.parse(text) : null;
  if (url === null || url.username !== '' || url.password !== '') return false;
  if (url.protocol === 'https:') return true;
  return url.protocol === 'http:' && (isLoopback(url.href) || isPlainHttp(issuer));
}
