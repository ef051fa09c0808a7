import { createHmac } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { createOutageLog, type Logger, withTimeout } from '@countersign/service-kit';
import { type EventOrigin, type Journal, SeenIds, SharedLog, type StoredEnd, TenantQuotas } from '@countersign/signals';
import type { Redis } from 'ioredis';
import { LRUCache } from 'lru-cache';
import { AppError } from '../../errors.ts';
import type { GatewayKeySet } from '../../keys/gateway-keys.ts';
import { macKeysFor } from '../../keys/mac-key.ts';
import { type FeedRequest, followRevocations, type RevocationFeed } from '../feed.ts';
import { Revocations } from '../revocations.ts';
import type { RevokedKind, Subject } from '../revoked-subject.ts';

export type EventStreamConfig = Readonly<{
  issuer: string;
  maxTokenLifetimeSec: number;
  maxStalenessMs: number;
  onStale: 'allow' | 'deny';
  /** What happens when the issuer has more entries than fit: older tokens are refused, or events get 503. */
  onOverflow: 'revoke' | 'refuse';
}>;

/** How gateways share events. They have the same keys. */
type SharedBy = Readonly<{ redis: Redis; keys: Pick<GatewayKeySet, 'signingKey' | 'find'>; nowSec(): number }>;

type EventStreamDeps = Readonly<{
  journal: Journal;
  /** Undefined for one gateway. */
  shared: SharedBy | undefined;
  nowMs(): number;
  logger: Logger;
  onChange(): void;
  onLag(issuer: string, lagMs: number): void;
  /** For tests. */
  maxHeld?: number;
  maxPerTenant?: number;
}>;

/** The tokens that an event ends, in the words of our tokens. */
export type EndedTokens = Readonly<{
  kind: RevokedKind;
  name: string;
  tenantId: string | undefined;
  notBeforeMs: number;
}>;

export type EventResult = 'applied' | 'repeated' | 'ignored' | 'verification' | 'refused' | 'unavailable';

const maxOrigins = 20_000;
const retryMs = 1_000;
const defaultMaxHeld = 2_000_000;

/**
 * The events of one issuer. Each is on disk, and in the log of all gateways if there are several, before it is
 * acknowledged.
 */
export class EventStream {
  readonly revocations: Revocations;
  /** What is known about the last event, for operators. */
  lastEvent: (EventOrigin & Readonly<{ lagMs: number }>) | undefined;
  /** Events whose time is more than a day before they were sent, so that they end almost nothing. */
  late = 0;
  /** By source and result. */
  readonly counts = new Map<string, number>();
  readonly #config: EventStreamConfig;
  readonly #deps: EventStreamDeps;
  readonly #shared: SharedLog | undefined;
  readonly #feed: RevocationFeed | undefined;
  readonly #quotas: TenantQuotas;
  readonly #seen = new SeenIds();
  readonly #origins = new LRUCache<string, EventOrigin>({ max: maxOrigins });
  #stopping: AbortController | undefined;
  #unfollow = () => {};

  constructor(config: EventStreamConfig, deps: EventStreamDeps) {
    const { journal, shared, nowMs, logger } = deps;
    const { issuer } = config;
    this.#config = config;
    this.#deps = deps;
    this.#quotas = new TenantQuotas(config.maxTokenLifetimeSec * 1000, deps.maxPerTenant);
    this.revocations = new Revocations({ ...config, ...(deps.maxHeld && { maxHeld: deps.maxHeld }) });
    this.revocations.onChange(deps.onChange);
    if (shared === undefined) return;
    this.#shared = openSharedLog(issuer, shared, journal);
    this.#feed = followRevocations({
      issuer,
      revocations: this.revocations,
      fetchBatch: this.#fetchBatch,
      maxStalenessMs: config.maxStalenessMs,
      logger,
      onLag: (lagMs) => deps.onLag(issuer, lagMs),
      nowMs,
      random: Math.random,
      async pause(ms, signal) {
        await delay(ms, undefined, { signal, ref: false }).catch(() => {});
      },
    });
  }

  get stats(): RevocationFeed['stats'] | undefined {
    return this.#feed?.stats;
  }

  start(): void {
    if (this.#stopping !== undefined) return;
    this.#stopping = new AbortController();
    void this.#load(this.#stopping.signal);
  }

  stop(): void {
    this.#stopping?.abort();
    this.#feed?.stop();
    this.#unfollow();
  }

  /** Counts a result, including those of tokens that were refused. */
  count(source: EventOrigin['source'], result: EventResult): void {
    const key = `${source} ${result}`;
    this.counts.set(key, (this.counts.get(key) ?? 0) + 1);
  }

  /**
   * Stores what an event ends, and refuses those tokens from then on.
   *
   * @returns Settles when the event may be acknowledged.
   * @throws AppError `events_unavailable`: it is not stored everywhere, and must be sent again.
   */
  async receive(ends: readonly EndedTokens[], origin: EventOrigin): Promise<'applied' | 'repeated'> {
    const id = `${origin.source} ${origin.jti}`;
    if (this.#seen.has(id)) return 'repeated';
    const { onOverflow } = this.#config;
    if (onOverflow === 'refuse' && this.revocations.size >= (this.#deps.maxHeld ?? defaultMaxHeld)) {
      throw new AppError('events_unavailable', { detail: { alarm: 'too_many_revocations' } });
    }
    const entries = ends.flatMap((end) => this.#entryOf(end, origin) ?? []);
    try {
      await this.#deps.journal.append(entries);
      await this.#shared?.write(entries);
    } catch (cause) {
      throw new AppError('events_unavailable', { cause });
    }
    this.#seen.add(id);
    this.#deps.onLag(this.#config.issuer, Math.max(0, this.#deps.nowMs() - origin.atMs));
    return 'applied';
  }

  /** Where the end of a token came from. Undefined if it is not known any more. */
  originOf({ sessionId, userId, tenantId }: Subject): EventOrigin | undefined {
    const keys = [
      sessionId && `session ${sessionId}`,
      userId && tenantId && `member ${tenantId} ${userId}`,
      userId && `user ${userId}`,
      tenantId && `tenant ${tenantId}`,
    ];
    return keys.map((key) => key && this.#origins.get(key)).find((origin) => origin !== undefined && origin !== '') as
      | EventOrigin
      | undefined;
  }

  /** @returns Undefined if every token that it could end has expired, or an earlier entry covers it. */
  #entryOf({ kind, name, tenantId, notBeforeMs }: EndedTokens, origin: EventOrigin): StoredEnd | undefined {
    const { issuer, maxTokenLifetimeSec } = this.#config;
    const nowMs = this.#deps.nowMs();
    // An ended session stays ended. The others end only tokens that were issued before.
    const expiresAtMs = (kind === 'session' ? Math.max(nowMs, notBeforeMs) : notBeforeMs) + maxTokenLifetimeSec * 1000;
    if (expiresAtMs <= nowMs) return undefined;
    const entry = { issuer, kind, name, notBeforeMs, expiresAtMs, origin };
    const isNew = !this.revocations.knows(kind, name, 0);
    if (tenantId === undefined || kind === 'tenant' || !isNew || this.#quotas.take(tenantId, nowMs)) return entry;
    if (this.revocations.knows('tenant', tenantId, notBeforeMs)) return undefined;
    this.#deps.logger.error(
      { issuer, tenant: tenantId, alarm: 'too_many_events' },
      'a tenant has more events than fit: its older tokens are refused',
    );
    return { ...entry, kind: 'tenant', name: tenantId, expiresAtMs: notBeforeMs + maxTokenLifetimeSec * 1000 };
  }

  /** Applies the entries of the journal, then those of the other gateways. Tokens get 503 until then. */
  async #load(signal: AbortSignal): Promise<void> {
    const { journal, nowMs, logger } = this.#deps;
    const { issuer } = this.#config;
    const outages = createOutageLog(() => performance.now());
    // First, so that no entry is missed. Applying one twice changes nothing.
    this.#unfollow = journal.follow(issuer, this.#apply);
    while (!signal.aborted) {
      try {
        let entries = 0;
        for await (const batch of journal.read(issuer)) {
          this.#apply(batch);
          // With several gateways, an event that only this disk has must be sent again.
          if (this.#shared === undefined) this.#markSeen(batch);
          entries += batch.length;
        }
        const sinceMs = journal.sinceMs(issuer) ?? nowMs();
        await journal.cover(issuer, sinceMs);
        this.#coverFrom(sinceMs);
        logger.info({ issuer, entries, since: new Date(sinceMs).toISOString() }, 'events read from the journal');
        break;
      } catch (error) {
        if (outages.failed(false)) logger.error({ issuer, err: error }, 'the journal of events cannot be read');
        await delay(retryMs, undefined, { signal, ref: false }).catch(() => {});
      }
    }
    if (this.#feed === undefined) this.revocations.applySnapshot([], nowMs());
    else if (!signal.aborted) this.#feed.start();
  }

  #coverFrom(sinceMs: number): void {
    const { nowMs, logger } = this.#deps;
    const { issuer, maxTokenLifetimeSec } = this.#config;
    this.revocations.coverFrom(sinceMs);
    if (nowMs() - sinceMs < maxTokenLifetimeSec * 1000)
      logger.warn({ issuer, since: new Date(sinceMs).toISOString() }, 'tokens from before may have ended unnoticed');
  }

  readonly #apply = (entries: readonly StoredEnd[]): void => {
    for (const entry of entries) this.#remember(entry);
    this.revocations.apply(entries.map(groupOf), this.#deps.nowMs());
  };

  #remember({ kind, name, notBeforeMs, origin }: StoredEnd): void {
    this.#origins.set(`${kind} ${name}`, origin);
    // `notBeforeMs` is the next whole second.
    if (origin.atMs >= (this.lastEvent?.atMs ?? 0))
      this.lastEvent = { ...origin, lagMs: Math.max(0, origin.atMs - (notBeforeMs - 1_000)) };
  }

  /** Reads the log of all gateways. Entries that are new here are kept on this disk too, so that each disk has all. */
  readonly #fetchBatch = async (request: FeedRequest, signal: AbortSignal) => {
    const { journal, logger } = this.#deps;
    const { issuer } = this.#config;
    const page = await (this.#shared as SharedLog).read(request, signal);
    const news = page.items.filter(
      ({ kind, name, notBeforeMs }) => !this.revocations.knows(kind as RevokedKind, name, notBeforeMs),
    );
    for (const entry of news) this.#remember(entry);
    this.#markSeen(page.items);
    await journal
      .append(news)
      .catch((error: unknown) => logger.warn({ issuer, err: error }, 'an event is not on disk'));
    if (page.complete && page.sinceMs < (journal.sinceMs(issuer) ?? 0)) {
      await journal.cover(issuer, page.sinceMs);
      this.#coverFrom(page.sinceMs);
    }
    return { ...page, entries: news.map(groupOf), count: page.items.length };
  };

  #markSeen(entries: readonly StoredEnd[]): void {
    for (const { origin } of entries) this.#seen.add(`${origin.source} ${origin.jti}`);
  }
}

const macKeyOf = macKeysFor('countersign event log v1');
const redisTimeoutMs = 1_000;

function openSharedLog(issuer: string, { redis, keys, nowSec }: SharedBy, journal: Journal): SharedLog {
  return new SharedLog({
    issuer,
    run: (script, names, args) => withTimeout(redis.eval(script, names.length, ...names, ...args), redisTimeoutMs),
    mac: {
      kid: () => keys.signingKey(nowSec()).kid,
      of(kid, text) {
        const key = keys.find(kid, nowSec());
        return key && createHmac('sha256', macKeyOf(key)).update(text).digest('base64url');
      },
    },
    entries: () => journal.read(issuer),
    sinceMs: () => journal.sinceMs(issuer),
  });
}

const groupOf = ({ kind, name, notBeforeMs, expiresAtMs }: StoredEnd) => ({
  // Only entries that this gateway or another one with our keys wrote are read.
  kind: kind as RevokedKind,
  names: [name],
  notBeforeMs,
  expiresAtMs,
});
