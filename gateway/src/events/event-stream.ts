import { setTimeout as delay } from 'node:timers/promises';
import { createOutageLog, type Logger } from '@countersign/process-kit';
import {
  type FeedRequest,
  followRevocations,
  type RevocationFeed,
  Revocations,
  type RevokedKind,
  type Subject,
} from '@countersign/revocations';
import {
  type EndOrigin,
  type EventSource,
  eventSources,
  type Journal,
  LiveEntries,
  SeenIds,
  type SharedLog,
  type StoredEnd,
  TenantQuotas,
} from '@countersign/signals';
import type { Redis } from 'ioredis';
import { LRUCache } from 'lru-cache';
import { toleranceMs } from '../config/config.ts';
import { AppError } from '../errors.ts';
import { openSharedLog, type SharedBy, subscribeTo } from './gateways-log.ts';

export type EventStreamConfig = Readonly<{
  issuer: string;
  maxTokenLifetimeSec: number;
  maxStalenessMs: number;
  onStale: 'allow' | 'deny';
  /** What to do if memory cannot hold all entries: refuse older tokens, or refuse events with 503. */
  onOverflow: 'revoke' | 'refuse';
}>;

type EventStreamDeps = Readonly<{
  journal: Journal;
  /** Undefined if there is only one gateway. */
  shared: SharedBy | undefined;
  nowMs(): number;
  logger: Logger;
  onChange(): void;
  onLag(issuer: string, lagMs: number): void;
  /** Tests replace this. */
  maxHeld?: number;
  maxPerTenant?: number;
}>;

/** The tokens that an event ends, as our tokens name their subjects. */
export type EndedTokens = Readonly<{
  kind: RevokedKind;
  name: string;
  tenantId: string | undefined;
  notBeforeMs: number;
}>;

const results = ['applied', 'repeated', 'expired', 'ignored', 'verification', 'refused', 'unavailable'] as const;
export type EventResult = (typeof results)[number];

/** Sources that name one session, user or member at a time, and never end tokens of others to save memory. */
const isDelivered = (source: EventSource): boolean => source === 'webhook' || source === 'call';

const maxOrigins = 20_000;
const retryMs = 1_000;
const defaultMaxHeld = 2_000_000;

/** One issuer's events. Each is on disk, and in the gateways' shared log, before it is acknowledged. */
export class EventStream {
  readonly revocations: Revocations;
  lastEvent: (EndOrigin & Readonly<{ lagMs: number }>) | undefined;
  /** How many events were sent more than a day after they happened, so that they end almost no tokens. */
  late = 0;
  /** How many ends of sessions were applied. Changes with each. */
  endedSessions = 0;
  /** When each source was last heard of, in Unix milliseconds. */
  readonly lastAtMs = new Map<EventSource, number>();
  /** Event counts by source and result. All start at 0, or Prometheus' rate() would miss the first event. */
  readonly counts = new Map(eventSources.flatMap((source) => results.map((result) => [`${source} ${result}`, 0])));
  readonly #config: EventStreamConfig;
  readonly #deps: EventStreamDeps;
  readonly #shared: SharedLog | undefined;
  readonly #feed: RevocationFeed | undefined;
  readonly #maxHeld: number;
  readonly #quotas: TenantQuotas;
  /** By source, so that no source makes the gateway forget the ids of another. */
  readonly #seen = new Map(eventSources.map((source) => [source, new SeenIds()]));
  readonly #delivered = new LiveEntries();
  /** The events that are being stored, by source and id. */
  readonly #storing = new Map<string, Promise<unknown>>();
  readonly #origins = new LRUCache<string, EndOrigin>({ max: maxOrigins });
  #stopping: AbortController | undefined;
  #unfollow = () => {};
  #subscriber: Redis | undefined;

  constructor(config: EventStreamConfig, deps: EventStreamDeps) {
    const { journal, shared, nowMs, logger } = deps;
    const { issuer } = config;
    this.#config = config;
    this.#deps = deps;
    const { maxHeld = defaultMaxHeld, maxPerTenant } = deps;
    this.#maxHeld = maxHeld;
    this.#quotas = new TenantQuotas({ lifetimeMs: config.maxTokenLifetimeSec * 1000, maxHeld, maxPerTenant });
    this.revocations = new Revocations({ ...config, toleranceMs, maxHeld });
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

  /** From when on every event is known. Undefined while the journal is read. */
  get sinceMs(): number | undefined {
    return this.#deps.journal.sinceMs(this.#config.issuer);
  }

  /** Those of the log of all gateways. Undefined for one gateway. */
  get stats(): RevocationFeed['stats'] | undefined {
    return this.#feed?.stats;
  }

  start(): void {
    if (this.#stopping !== undefined) return;
    this.#stopping = new AbortController();
    const { shared } = this.#deps;
    if (this.#shared && shared) this.#subscriber = subscribeTo(this.#shared, shared.redis);
    void this.#load(this.#stopping.signal);
  }

  stop(): void {
    this.#stopping?.abort();
    this.#feed?.stop();
    this.#unfollow();
    this.#subscriber?.disconnect();
  }

  /** Reads the journal once, and writes nothing. For a command that runs beside the gateway. */
  async readJournal(): Promise<void> {
    const { journal, nowMs } = this.#deps;
    for await (const batch of journal.read(this.#config.issuer)) this.#apply(batch);
    this.revocations.applySnapshot([], nowMs());
  }

  /** Counts a result, even if the token was refused. */
  count(source: EndOrigin['source'], result: EventResult): void {
    const key = `${source} ${result}`;
    this.counts.set(key, (this.counts.get(key) ?? 0) + 1);
    if (result !== 'refused' && result !== 'unavailable') this.#hear(source, this.#deps.nowMs());
  }

  /**
   * Refuses the ended tokens once they are stored. Throws `events_unavailable` if the event must be sent again, and
   * `event_id_reused` if its id was used with another content.
   */
  async receive(ends: readonly EndedTokens[], origin: EndOrigin): Promise<'applied' | 'repeated' | 'expired'> {
    const key = `${origin.source} ${origin.jti}`;
    while (this.#storing.has(key)) await this.#storing.get(key)?.catch(() => {});
    const storing = this.#store(ends, origin);
    this.#storing.set(key, storing);
    return storing.finally(() => this.#storing.delete(key));
  }

  async #store(ends: readonly EndedTokens[], origin: EndOrigin): Promise<'applied' | 'repeated' | 'expired'> {
    const seen = this.#seen.get(origin.source) as SeenIds;
    if (seen.has(origin.jti)) {
      if (seen.contentOf(origin.jti) !== origin.content) throw new AppError('event_id_reused');
      return 'repeated';
    }
    // Without new entries, nothing else removes the expired ones.
    if (this.revocations.size + ends.length >= this.#maxHeld) this.revocations.stage([], this.#deps.nowMs());
    if (this.#config.onOverflow === 'refuse' && this.revocations.size >= this.#maxHeld) {
      throw new AppError('events_unavailable', { detail: { alarm: 'too_many_revocations' } });
    }
    const entries = ends.flatMap((end) => this.#entryOf(end, origin) ?? []);
    if (isDelivered(origin.source)) this.#requireRoom(entries);
    try {
      await this.#deps.journal.append(entries);
      await this.#shared?.write(entries);
    } catch (cause) {
      throw new AppError('events_unavailable', { cause });
    }
    seen.add(origin.jti, origin.content);
    this.#deps.onLag(this.#config.issuer, Math.max(0, this.#deps.nowMs() - origin.atMs));
    return entries.length === 0 && isDelivered(origin.source) ? 'expired' : 'applied';
  }

  /** Webhooks and calls may fill half of the memory, and never the part whose use would refuse other users' tokens. */
  #requireRoom(entries: readonly StoredEnd[]): void {
    const added = entries.filter(({ kind, name }) => !this.revocations.knows(kind as RevokedKind, name, 0)).length;
    const delivered = this.#delivered.count(this.#deps.nowMs()) + added;
    if (added === 0 || (delivered <= this.#maxHeld / 2 && this.revocations.size + added < this.#maxHeld)) return;
    throw new AppError('events_unavailable', { detail: { alarm: 'too_many_events', delivered } });
  }

  /** Returns which event ended a token. Undefined if that is no longer known. */
  originOf({ sessionId, userId, tenantId }: Subject): EndOrigin | undefined {
    const keys = [
      sessionId && tenantId && `session ${tenantId} ${sessionId}`,
      sessionId && `session ${sessionId}`,
      userId && tenantId && `member ${tenantId} ${userId}`,
      userId && `user ${userId}`,
      tenantId && `tenant ${tenantId}`,
    ];
    return keys.flatMap((key) => (key && this.#origins.get(key)) || [])[0];
  }

  /** @returns Undefined if every token that the event could end has expired, or an earlier entry covers the event. */
  #entryOf({ kind, name, tenantId, notBeforeMs }: EndedTokens, origin: EndOrigin): StoredEnd | undefined {
    const { issuer, maxTokenLifetimeSec } = this.#config;
    const nowMs = this.#deps.nowMs();
    // A session stays ended. The other kinds end only tokens that were issued before.
    const expiresAtMs = (kind === 'session' ? Math.max(nowMs, notBeforeMs) : notBeforeMs) + maxTokenLifetimeSec * 1000;
    const isOver = isDelivered(origin.source) && notBeforeMs + maxTokenLifetimeSec * 1000 <= nowMs;
    if (expiresAtMs <= nowMs || isOver) return undefined;
    if (tenantId === undefined || kind === 'tenant' || isDelivered(origin.source))
      return { issuer, kind, name, notBeforeMs, expiresAtMs, origin };
    const entry = { issuer, kind, name, tenantId, notBeforeMs, expiresAtMs, origin };
    const { size } = this.revocations;
    if (this.revocations.knows(kind, name, 0) || this.#quotas.allows(tenantId, size, nowMs)) return entry;
    if (this.revocations.knows('tenant', tenantId, notBeforeMs)) return undefined;
    this.#deps.logger.error(
      { issuer, tenant: tenantId, alarm: 'too_many_events' },
      'memory cannot hold all events of a tenant: refusing its older tokens',
    );
    const untilMs = notBeforeMs + maxTokenLifetimeSec * 1000;
    return { issuer, kind: 'tenant', name: tenantId, notBeforeMs, expiresAtMs: untilMs, origin };
  }

  /** Applies the entries of the journal, then those of the other gateways. Tokens get 503 until then. */
  async #load(signal: AbortSignal): Promise<void> {
    const { journal, nowMs, logger } = this.#deps;
    const { issuer } = this.#config;
    const outages = createOutageLog(() => performance.now());
    // Runs first, so that no entry is missed. Applying an entry twice changes nothing.
    this.#unfollow = journal.follow(issuer, this.#apply);
    while (!signal.aborted) {
      try {
        let entries = 0;
        for await (const batch of journal.read(issuer)) {
          this.#apply(batch);
          // With several gateways, this gateway must share an event that only its own disk has.
          if (this.#shared === undefined) this.#markSeen(batch);
          entries += batch.length;
        }
        const sinceMs = journal.sinceMs(issuer) ?? nowMs();
        await journal.cover(issuer, sinceMs);
        this.#coverFrom(sinceMs);
        logger.info({ issuer, entries, since: new Date(sinceMs).toISOString() }, 'events read from the journal');
        break;
      } catch (error) {
        if (outages.failed(false)) logger.error({ issuer, err: error }, 'the event journal cannot be read');
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
      logger.warn(
        { issuer, since: new Date(sinceMs).toISOString() },
        'tokens issued before this time may have ended unnoticed',
      );
  }

  readonly #apply = (entries: readonly StoredEnd[]): void => {
    const nowMs = this.#deps.nowMs();
    for (const entry of entries) this.#remember(entry, nowMs);
    this.revocations.apply(entries.map(groupOf), nowMs);
  };

  #remember({ kind, name, tenantId, notBeforeMs, expiresAtMs, origin }: StoredEnd, nowMs: number): void {
    const isNew = !this.revocations.knows(kind as RevokedKind, name, 0);
    if (tenantId !== undefined && isNew) this.#quotas.add(tenantId, nowMs);
    if (isDelivered(origin.source) && isNew) this.#delivered.add(expiresAtMs);
    this.#hear(origin.source, origin.atMs);
    this.#origins.set(`${kind} ${name}`, origin);
    if (kind === 'session') this.endedSessions += 1;
    // `notBeforeMs` is the next whole second.
    if (origin.atMs >= (this.lastEvent?.atMs ?? 0))
      this.lastEvent = { ...origin, lagMs: Math.max(0, origin.atMs - (notBeforeMs - 1_000)) };
  }

  /** Reads the gateways' shared log, and stores on this disk what is new here, so that every disk has all. */
  readonly #fetchBatch = async (request: FeedRequest, signal: AbortSignal) => {
    const { journal, logger } = this.#deps;
    const { issuer } = this.#config;
    const page = await (this.#shared as SharedLog).read(request, signal);
    const news = page.items.filter(
      ({ kind, name, notBeforeMs }) => !this.revocations.knows(kind as RevokedKind, name, notBeforeMs),
    );
    // In force first, and then on this disk: the gateway that received them has them on its own.
    this.#apply(news);
    this.#markSeen(page.items);
    await journal
      .append(news)
      .catch((error: unknown) => logger.warn({ issuer, err: error }, 'an event could not be written to disk'));
    if (page.complete && page.sinceMs < (journal.sinceMs(issuer) ?? 0)) {
      await journal.cover(issuer, page.sinceMs);
      this.#coverFrom(page.sinceMs);
    }
    return { ...page, entries: news.map(groupOf), count: page.items.length };
  };

  #markSeen(entries: readonly StoredEnd[]): void {
    for (const { origin } of entries) this.#seen.get(origin.source)?.add(origin.jti, origin.content);
  }

  #hear(source: EventSource, atMs: number): void {
    this.lastAtMs.set(source, Math.max(atMs, this.lastAtMs.get(source) ?? 0));
  }
}

const groupOf = ({ kind, name, notBeforeMs, expiresAtMs }: StoredEnd) => ({
  kind: kind as RevokedKind,
  names: [name],
  notBeforeMs,
  expiresAtMs,
});
