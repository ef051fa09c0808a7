import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { IdentityUnavailable } from '../contract/refusal.ts';
import type { NonceClaim, NonceVerdict, ReplayStore } from './replay.ts';
import { memoryReplay } from './replay-memory.ts';

/** The part of an ioredis client that {@link redisReplay} uses. */
export interface RedisForReplay {
  call(command: string, ...args: (string | number)[]): Promise<unknown>;
  /** With `on`, the store probes each new connection, so it notices a restarted Redis before the next request. */
  on?(event: 'ready', listener: () => void): unknown;
  /** `end` means that the client was closed; probing then stops. */
  readonly status?: string;
  readonly options?: { readonly enableOfflineQueue?: boolean | undefined };
}

export type RedisReplayOptions = Readonly<{
  /**
   * What to do while Redis does not respond, and for requests older than the nonces that Redis holds. `refuse` refuses
   * them. `memory` uses this instance's own nonces: a captured request can then be replayed once at each other instance,
   * until it expires. `reads` (the default) does that for GET and HEAD, and refuses the rest.
   */
  onUnavailable?: 'reads' | 'refuse' | 'memory';
  /** How long a claim waits for Redis, in milliseconds. Default: 100. */
  timeoutMs?: number;
  /** How often the store probes an unavailable Redis, in milliseconds. Requests do not wait for it. Default: 200. */
  retryAfterMs?: number;
  /**
   * How far the gateway's clock may be ahead of Redis' clock, in seconds. After Redis lost its data, requests are
   * refused for this much longer: one created in the future may have been used at another instance. Default 0.
   */
  gatewayAheadSec?: number;
  /** Key prefix, the same for all services and instances that share a Redis. Default `countersign:replay:`. */
  prefix?: string;
  /** Wall clock, in Unix milliseconds. */
  nowMs?: () => number;
  /** Called when claims stop reaching Redis and when they reach it again. */
  onStateChange?: (state: 'available' | 'unavailable', cause?: unknown) => void;
}>;

/** A nonce store in Redis. */
export interface RedisReplay extends ReplayStore {
  /** How many requests were accepted by this instance's own nonces alone, for a metric. */
  readonly acceptedAlone: number;
  /**
   * Probes Redis, for a readiness check.
   *
   * @returns undefined when a request signed now can be checked, otherwise a sentence that says why not. With `reads`,
   *   an instance is ready without Redis, because a load balancer would otherwise remove every instance.
   */
  check(): Promise<string | undefined>;
}

/**
 * Claims a nonce atomically, in one round trip. KEYS: nonce, since. ARGV: created second, lifetime in milliseconds.
 * A missing `since` means that Redis lost its data (flushed or evicted), so older nonces are unknown.
 */
const claimScript = `
local since = redis.call('GET', KEYS[2])
if not since then
  since = redis.call('TIME')[1] + 1
  redis.call('SET', KEYS[2], since)
end
if not redis.call('SET', KEYS[1], '1', 'NX', 'PX', ARGV[2]) then return 'replayed' end
if tonumber(ARGV[1]) < tonumber(since) then return 'before_start' end
return 'fresh'`;

/** Restarts the memory at the next second, for a Redis that may have been restored from an old snapshot. */
const startScript = `redis.call('SET', KEYS[1], redis.call('TIME')[1] + 1)`;

const claimSha = createHash('sha1').update(claimScript).digest('hex');

/**
 * Creates a nonce store that several instances of a service share. A restart of Redis allows no replay: its script
 * cache does not survive a restart, so the first claim finds the script missing and restarts the memory at the next
 * whole second. That holds while the gateway's clock is not ahead of Redis' clock; see `gatewayAheadSec`.
 *
 * @throws TypeError when the client queues commands while offline, because a queued claim would run long after its
 *   request.
 */
export function redisReplay(redis: RedisForReplay, options: RedisReplayOptions = {}): RedisReplay {
  if (redis.options?.enableOfflineQueue !== false) {
    throw new TypeError('redisReplay needs an ioredis client with enableOfflineQueue: false');
  }
  return new RedisReplayStore(redis, options);
}

class RedisReplayStore implements RedisReplay {
  readonly isShared = true;
  readonly #redis: RedisForReplay;
  readonly #options: RedisReplayOptions;
  readonly #onUnavailable: RedisReplayOptions['onUnavailable'];
  readonly #prefix: string;
  readonly #nowMs: () => number;
  readonly #aheadSec: number;
  /** When this instance's own memory began. It matters only while Redis is unavailable. */
  readonly #localStartSec: number;
  /** Receives every claim, as the fallback, and so that this instance never accepts a nonce twice when Redis fails. */
  readonly #localMemory: ReplayStore;
  #available = true;
  #wasReady = false;
  #acceptedAlone = 0;

  constructor(redis: RedisForReplay, options: RedisReplayOptions) {
    this.#redis = redis;
    this.#options = options;
    this.#onUnavailable = options.onUnavailable ?? 'reads';
    this.#prefix = options.prefix ?? 'countersign:replay:';
    this.#nowMs = options.nowMs ?? Date.now;
    this.#aheadSec = options.gatewayAheadSec ?? 0;
    this.#localStartSec = Math.floor(this.#nowMs() / 1000) + 1;
    this.#localMemory = memoryReplay({ nowMs: () => 0 });
    redis.on?.('ready', () => void this.#probe());
  }

  get acceptedAlone(): number {
    return this.#acceptedAlone;
  }

  async claim(claim: NonceClaim): Promise<NonceVerdict> {
    const local = await this.#localMemory.claim(claim);
    if (local !== 'fresh') return local;
    if (!this.#available) return this.#claimWithoutRedis(claim, undefined);
    const key = `${claim.audience} ${claim.nonce}`;
    try {
      const lifeMs = (claim.keepUntilSec - claim.nowSec + 1) * 1000;
      const verdict = await this.#withTimeout(this.#claimInRedis(key, claim.createdSec - this.#aheadSec, lifeMs));
      return verdict === 'before_start' && this.#mayDecideAlone(claim) ? this.#claimLocally(claim) : verdict;
    } catch (cause) {
      this.#markUnavailable(cause);
      return this.#claimWithoutRedis(claim, cause);
    }
  }

  async check(): Promise<string | undefined> {
    const verdict = await this.#probe();
    const policy = this.#onUnavailable;
    // Even while Redis responds: if it fails within the same second, the instance's own memory must suffice.
    if (policy !== 'refuse' && this.#nowMs() < this.#localStartSec * 1000) return 'the replay memory has just started';
    if (policy === 'memory') return undefined;
    // Later, an empty Redis does not make an instance unready that can still serve reads.
    const mustHaveBegun = policy === 'refuse' || !this.#wasReady;
    if (verdict === 'before_start' && mustHaveBegun) return 'the replay memory in Redis has just started';
    if (verdict === undefined && policy === 'refuse') return 'Redis does not answer';
    this.#wasReady = true;
    return undefined;
  }

  /** Claims a random nonce. In a restarted Redis this also loads the script and restarts the memory. */
  async #probe(): Promise<NonceVerdict | undefined> {
    try {
      const createdSec = Math.floor(this.#nowMs() / 1000) - this.#aheadSec;
      const verdict = await this.#withTimeout(this.#claimInRedis(`probe ${randomUUID()}`, createdSec, 1_000));
      this.#markAvailable();
      return verdict;
    } catch (cause) {
      this.#markUnavailable(cause);
      return undefined;
    }
  }

  #markAvailable(): void {
    if (this.#available) return;
    this.#available = true;
    this.#options.onStateChange?.('available');
  }

  #markUnavailable(cause: unknown): void {
    if (!this.#available) return;
    this.#available = false;
    this.#options.onStateChange?.('unavailable', cause);
    void this.#probeUntilAvailable();
  }

  async #probeUntilAvailable(): Promise<void> {
    while (!this.#available && this.#redis.status !== 'end') {
      await this.#probe();
      if (!this.#available) await delay(this.#options.retryAfterMs ?? 200, undefined, { ref: false });
    }
  }

  #claimWithoutRedis(claim: NonceClaim, cause: unknown): NonceVerdict {
    if (!this.#mayDecideAlone(claim)) {
      throw new IdentityUnavailable('the nonce store does not answer', { cause, reason: 'replay_unavailable' });
    }
    return this.#claimLocally(claim);
  }

  /** `claim` has already refused nonces that this instance accepted. */
  #claimLocally(claim: NonceClaim): NonceVerdict {
    if (claim.createdSec < this.#localStartSec) return 'before_start';
    this.#acceptedAlone += 1;
    return 'fresh';
  }

  /** Whether this instance's own nonces decide while Redis is unavailable, or has lost its data or just started. */
  #mayDecideAlone({ isRead }: NonceClaim): boolean {
    return this.#onUnavailable === 'memory' || (this.#onUnavailable === 'reads' && isRead === true);
  }

  async #claimInRedis(key: string, createdSec: number, lifeMs: number): Promise<NonceVerdict> {
    const since = `${this.#prefix}since`;
    const runClaim = () => this.#redis.call('EVALSHA', claimSha, 2, this.#prefix + key, since, createdSec, lifeMs);
    try {
      return parseVerdict(await runClaim());
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
      // In this order, so that another instance that finds the script also finds the new `since`.
      await this.#redis.call('EVAL', startScript, 1, since);
      await this.#redis.call('SCRIPT', 'LOAD', claimScript);
      return parseVerdict(await runClaim());
    }
  }

  async #withTimeout<T>(reply: Promise<T>): Promise<T> {
    const { promise: timeout, reject } = Promise.withResolvers<never>();
    let turn: NodeJS.Immediate | undefined;
    // After a long block of the event loop, timers run before replies that have already arrived.
    const timer = setTimeout(() => {
      turn = setImmediate(() => reject(new Error('Redis did not answer in time')));
    }, this.#options.timeoutMs ?? 100);
    try {
      return await Promise.race([reply, timeout]);
    } finally {
      clearTimeout(timer);
      clearImmediate(turn);
    }
  }
}

function parseVerdict(reply: unknown): NonceVerdict {
  if (reply === 'fresh' || reply === 'replayed' || reply === 'before_start') return reply;
  throw new Error('unexpected reply from Redis');
}
