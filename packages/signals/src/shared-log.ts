import { createHash, timingSafeEqual } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { StoredEnd } from './end.ts';

export type SharedLogOptions = Readonly<{
  issuer: string;
  /** Runs a Lua script in Redis. Must reject, rather than wait, while Redis is unavailable. */
  run(script: string, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown>;
  /** Entries have a MAC, so that write access to Redis is not enough to end tokens. */
  mac: Readonly<{
    /** The id of the current key. When it changes, every entry is written again. */
    kid(): string;
    /** The MAC of a text under a key. Undefined if there is no such key (any more). */
    of(kid: string, text: string): string | undefined;
  }>;
  /** The entries in force, which are written again when Redis has lost them. */
  entries(): AsyncIterable<readonly StoredEnd[]>;
  /** From when on {@link entries} has every end. Undefined if unknown. */
  sinceMs(): number | undefined;
}>;

/** Where to continue reading, and how long to wait for new entries. Without a position, reading starts over. */
export type LogRequest = Readonly<{
  position: Readonly<{ log: string; cursor: number }> | undefined;
  waitSec: number;
}>;

export type LogPage = Readonly<{
  /** The id of the log. Another id: Redis lost the log that was read before. */
  log: string;
  cursor: number;
  /** Whether this is the last page for now. */
  complete: boolean;
  items: readonly StoredEnd[];
  /** Entries without a valid MAC. */
  unknown: number;
  /** From when on the log has every end. */
  sinceMs: number;
}>;

/** A reader that is not woken asks this often. */
const pollEveryMs = 200;
const pageSize = 1_000;
/** After Redis lost the log, those who hold entries write them within this time. A new reader waits for them. */
const settleMs = 1_000;

const scriptHead = `
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('DEL', KEYS[2], KEYS[3], KEYS[4])
  redis.call('HSET', KEYS[1], 'id', ARGV[1], 'seq', 0, 'since', now, 'made', now)
end`;

// One entry a subject. A later time replaces an earlier one, and so does the same entry under another key.
const writeScript = `${scriptHead}
if ARGV[2] ~= '' and tonumber(ARGV[2]) < tonumber(redis.call('HGET', KEYS[1], 'since')) then
  redis.call('HSET', KEYS[1], 'since', ARGV[2])
end
local news = false
for at = 3, #ARGV, 4 do
  local field, from, till, value = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), ARGV[at + 3]
  local old = redis.call('HGET', KEYS[2], field)
  local before, until_ = string.match(old or '', '^(%d+) (%d+) ')
  local same = old and tonumber(before) == from and tonumber(until_) == till
  local covered = old and tonumber(before) >= from and tonumber(until_) >= till
  if not covered or (same and old ~= value) then
    redis.call('HSET', KEYS[2], field, value)
    redis.call('ZADD', KEYS[3], redis.call('HINCRBY', KEYS[1], 'seq', 1), field)
    redis.call('ZADD', KEYS[4], till, field)
    news = true
  end
end
if news then redis.call('PUBLISH', KEYS[1], '') end
local dead = redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', now, 'LIMIT', 0, 500)
if #dead > 0 then
  redis.call('HDEL', KEYS[2], unpack(dead))
  redis.call('ZREM', KEYS[3], unpack(dead))
  redis.call('ZREM', KEYS[4], unpack(dead))
end
return redis.call('HGET', KEYS[1], 'id')`;

const readScript = `${scriptHead}
local log = redis.call('HMGET', KEYS[1], 'id', 'seq', 'since', 'made')
local found = redis.call('ZRANGE', KEYS[3], '(' .. ARGV[2], '+inf', 'BYSCORE', 'LIMIT', 0, ARGV[3], 'WITHSCORES')
local values, last = {}, ARGV[2]
for at = 1, #found, 2 do
  values[#values + 1] = redis.call('HGET', KEYS[2], found[at])
  last = found[at + 1]
end
return { log[1], log[2], log[3], now - log[4], last, values }`;

/**
 * The ends of an issuer in Redis (6.2 or later), for all processes that receive its tokens. The log has an id. When
 * Redis has lost it, it gets another, and each process writes the entries that it holds again.
 */
export class SharedLog {
  readonly #options: SharedLogOptions;
  readonly #keys: readonly string[];
  /** A write failed, or the signing key changed since the last refill. */
  #mustRefill = false;
  #writtenWith: string | undefined;
  #woken = new AbortController();

  constructor(options: SharedLogOptions) {
    this.#options = options;
    const id = createHash('sha256').update(options.issuer).digest('base64url').slice(0, 22);
    this.#keys = ['log', 'entries', 'order', 'until'].map((name) => `countersign:events:{${id}}:${name}`);
  }

  /** A channel of Redis with a message for each write. Subscribe to it, and call {@link wake}. */
  get channel(): string {
    return this.#keys[0] ?? '';
  }

  /** Makes a waiting {@link read} look for entries now. */
  wake(): void {
    this.#woken.abort();
    this.#woken = new AbortController();
  }

  /** @throws Error if Redis did not confirm. The entries are then written again once it is back. */
  async write(entries: readonly StoredEnd[]): Promise<void> {
    try {
      await this.#write(entries, undefined);
    } catch (error) {
      this.#mustRefill = true;
      throw error;
    }
  }

  /** Reads the entries after a position, and waits for them. @throws Error while Redis is unavailable. */
  async read({ position, waitSec }: LogRequest, signal: AbortSignal): Promise<LogPage> {
    const untilMs = performance.now() + waitSec * 1000;
    for (;;) {
      const isOld = this.#mustRefill || this.#writtenWith !== this.#options.mac.kid();
      if (position === undefined || isOld) await this.#refill();
      // Taken before reading, so that a write meanwhile ends the wait.
      const { signal: woken } = this.#woken;
      const { ageMs, ...page } = await this.#readPage(position?.cursor ?? 0);
      const isSettled = position !== undefined || ageMs >= settleMs;
      const isNews = page.items.length + page.unknown > 0 || position === undefined || page.log !== position.log;
      if (signal.aborted || (isSettled && (isNews || performance.now() >= untilMs))) return page;
      // Rejects when it is woken or stopped, which the loop checks itself.
      await delay(pollEveryMs, undefined, { signal: AbortSignal.any([signal, woken]), ref: false }).catch(() => {});
    }
  }

  /** Writes every entry that is held here. What Redis has already does not change. */
  async #refill(): Promise<void> {
    const { mac, entries, sinceMs } = this.#options;
    const kid = mac.kid();
    for await (const batch of entries()) await this.#write(batch, undefined);
    await this.#write([], sinceMs());
    this.#mustRefill = false;
    this.#writtenWith = kid;
  }

  async #write(entries: readonly StoredEnd[], sinceMs: number | undefined): Promise<void> {
    const kid = this.#options.mac.kid();
    const args = entries.flatMap((entry) => {
      const { kind, name, notBeforeMs, expiresAtMs } = entry;
      const value = JSON.stringify({ kid, mac: this.#options.mac.of(kid, textOf(entry)), entry });
      return [`${kind} ${name}`, notBeforeMs, expiresAtMs, `${notBeforeMs} ${expiresAtMs} ${value}`];
    });
    await this.#options.run(writeScript, this.#keys, [crypto.randomUUID(), sinceMs ?? '', ...args]);
  }

  async #readPage(after: number): Promise<LogPage & Readonly<{ ageMs: number }>> {
    const answer = await this.#options.run(readScript, this.#keys, [crypto.randomUUID(), after, pageSize]);
    const [log, last, since, age, lastOfPage, values] = answer as [string, string, string, number, string, unknown[]];
    const items = values.flatMap((value) => this.#entryOf(value) ?? []);
    const complete = values.length < pageSize;
    return {
      log,
      // A log that was restored from a copy ends earlier than before.
      cursor: Number(complete ? last : lastOfPage),
      complete,
      items,
      unknown: values.length - items.length,
      sinceMs: Number(since),
      ageMs: Number(age),
    };
  }

  /** @returns Undefined without a valid MAC. With one, it is an entry that we wrote. */
  #entryOf(value: unknown): StoredEnd | undefined {
    const { kid, mac, entry } = parsed(String(value).replace(/^\d+ \d+ /, ''));
    if (typeof kid !== 'string' || typeof mac !== 'string' || entry?.issuer !== this.#options.issuer) return undefined;
    const expected = this.#options.mac.of(kid, textOf(entry));
    const [ours, theirs] = [Buffer.from(expected ?? ''), Buffer.from(mac)];
    return expected !== undefined && ours.length === theirs.length && timingSafeEqual(ours, theirs) ? entry : undefined;
  }
}

function parsed(json: string): Readonly<{ kid?: unknown; mac?: unknown; entry?: StoredEnd | undefined }> {
  try {
    return (JSON.parse(json) as object | null) ?? {};
  } catch {
    return {};
  }
}

/** What the MAC covers, in one order: every member but `content`, which earlier versions do not know. */
const textOf = ({ issuer, kind, name, tenantId, notBeforeMs, expiresAtMs, origin }: StoredEnd): string =>
  JSON.stringify([
    issuer,
    kind,
    name,
    tenantId,
    notBeforeMs,
    expiresAtMs,
    origin?.source,
    origin?.event,
    origin?.jti,
    origin?.atMs,
  ]);
