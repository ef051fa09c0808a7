import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { IdentityUnavailable } from '../contract/refusal.ts';
import type { NonceClaim, NonceVerdict, ReplayStore } from './replay.ts';
import { memoryReplay } from './replay-memory.ts';

/** What is needed of an ioredis client. */
export interface RedisForReplay {
  call(command: string, ...args: (string | number)[]): Promise<unknown>;
  /** With it a new connection is noticed at once, and what a restarted Redis forgot is known before the next request comes. */
  on?(event: 'ready', listener: () => void): unknown;
  /** `end`: the client was closed, and is not asked any more. */
  readonly status?: string;
  readonly options?: { readonly enableOfflineQueue?: boolean | undefined };
}

export type RedisReplayOptions = Readonly<{
  /**
   * While Redis does not answer: `refuse` (503; the default), or `memory`: this instance goes on with what it alone remembers,
   * and a captured request could be used once at each other instance. The same for what is older than Redis's own memory.
   */
  onUnavailable?: 'refuse' | 'memory';
  /** A claim waits this long at most. Default 100 ms. */
  timeoutMs?: number;
  /** While Redis does not answer it is asked this often, in the background: no request waits for it. Default 200 ms. */
  retryAfterMs?: number;
  /**
   * By how much the gateway's clock may run ahead of Redis' clock, in seconds. After Redis came back empty, requests are refused for this
   * much longer: one that was created "in the future" may have been used at another instance before. Default 0.
   */
  gatewayAheadSec?: number;
  /** Default `countersign:replay:`. One prefix for all services and instances that share a Redis. */
  prefix?: string;
  /** Wall clock, in Unix milliseconds. */
  nowMs?: () => number;
  /** Called when claims stop reaching Redis and when they reach it again. */
  onStateChange?: (state: 'available' | 'unavailable', cause?: unknown) => void;
}>;

/** Nonce memory in Redis. */
export interface RedisReplay extends ReplayStore {
  /**
   * Asks Redis now, for a readiness check.
   *
   * @returns undefined when a request that is signed now can be judged, otherwise a sentence that says why not.
   */
  check(): Promise<string | undefined>;
}

/**
 * KEYS: nonce, since. ARGV: created second, life in milliseconds. One round trip, atomic.
 * `since` gone means that Redis lost its memory (flushed, evicted): nothing that is older can be known.
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

/** Forgets the past, for a Redis process that may have been started from an old snapshot. */
const startScript = `redis.call('SET', KEYS[1], redis.call('TIME')[1] + 1)`;

const claimSha = createHash('sha1').update(claimScript).digest('hex');

/**
 * Nonce memory that several instances of a service share. A restart of Redis opens no window: its script cache does not survive
 * one, so the first claim after it finds the script missing and moves the start of memory to the next whole second. That holds while
 * the gateway's clock is not ahead of Redis' clock: `gatewayAheadSec`.
 *
 * @throws TypeError when the client queues commands while offline: a claim that waits there would be made long after its request.
 */
export function redisReplay(redis: RedisForReplay, options: RedisReplayOptions = {}): RedisReplay {
  if (redis.options?.enableOfflineQueue !== false) {
    throw new TypeError('redisReplay needs an ioredis client with enableOfflineQueue: false');
  }
  return new RedisReplayStore(redis, options);
}

class RedisReplayStore implements RedisReplay {
  readonly #redis: RedisForReplay;
  readonly #options: RedisReplayOptions;
  readonly #prefix: string;
  readonly #nowMs: () => number;
  readonly #aheadSec: number;
  /** What this process can know by itself begins here; it counts only while Redis is gone. */
  readonly #localStartSec: number;
  /** Always kept up, so that there is something to fall back to, and so that losing Redis never lets this instance accept twice. */
  readonly #localMemory: ReplayStore;
  #available = true;

  constructor(redis: RedisForReplay, options: RedisReplayOptions) {
    this.#redis = redis;
    this.#options = options;
    this.#prefix = options.prefix ?? 'countersign:replay:';
    this.#nowMs = options.nowMs ?? Date.now;
    this.#aheadSec = options.gatewayAheadSec ?? 0;
    this.#localStartSec = Math.floor(this.#nowMs() / 1000) + 1;
    this.#localMemory = memoryReplay({ nowMs: () => 0 });
    redis.on?.('ready', () => void this.#probe());
  }

  async claim(claim: NonceClaim): Promise<NonceVerdict> {
    const local = await this.#localMemory.claim(claim);
    if (local !== 'fresh') return local;
    if (!this.#available) return this.#claimWithoutRedis(claim, undefined);
    const key = `${claim.audience} ${claim.keyid} ${claim.nonce}`;
    try {
      const lifeMs = (claim.keepUntilSec - claim.nowSec + 1) * 1000;
      const verdict = await this.#withTimeout(this.#claimInRedis(key, claim.createdSec - this.#aheadSec, lifeMs));
      return verdict === 'before_start' ? this.#claimAfterMemoryLoss(claim) : verdict;
    } catch (cause) {
      this.#markUnavailable(cause);
      return this.#claimWithoutRedis(claim, cause);
    }
  }

  async check(): Promise<string | undefined> {
    const verdict = await this.#probe();
    if (verdict === 'fresh') return undefined;
    if (this.#options.onUnavailable === 'memory') {
      return this.#nowMs() < this.#localStartSec * 1000 ? 'the replay memory has just begun' : undefined;
    }
    return verdict === undefined ? 'Redis does not answer' : 'the replay memory in Redis has just begun';
  }

  /** Claims a nonce that no request has. This also loads the script into a Redis that was restarted, and begins its memory. */
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
    if (this.#options.onUnavailable !== 'memory') {
      throw new IdentityUnavailable('the nonce store does not answer', { cause, reason: 'replay_unavailable' });
    }
    return this.#claimLocally(claim);
  }

  /** What was used here is refused already. */
  #claimLocally(claim: NonceClaim): NonceVerdict {
    return claim.createdSec < this.#localStartSec ? 'before_start' : 'fresh';
  }

  /** Redis lost its memory, or began only just now. Whoever may go on without Redis may go on without its past. */
  #claimAfterMemoryLoss(claim: NonceClaim): NonceVerdict {
    return this.#options.onUnavailable === 'memory' ? this.#claimLocally(claim) : 'before_start';
  }

  async #claimInRedis(key: string, createdSec: number, lifeMs: number): Promise<NonceVerdict> {
    const since = `${this.#prefix}since`;
    const runClaim = () => this.#redis.call('EVALSHA', claimSha, 2, this.#prefix + key, since, createdSec, lifeMs);
    try {
      return parseVerdict(await runClaim());
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
      // The order matters: whoever finds the script there must also find the new start.
      await this.#redis.call('EVAL', startScript, 1, since);
      await this.#redis.call('SCRIPT', 'LOAD', claimScript);
      return parseVerdict(await runClaim());
    }
  }

  async #withTimeout<T>(answer: Promise<T>): Promise<T> {
    const { promise: late, reject } = Promise.withResolvers<never>();
    let turn: NodeJS.Immediate | undefined;
    // Not before answers that are there were read: where this process itself was busy for so long, timers come first.
    const timer = setTimeout(() => {
      turn = setImmediate(() => reject(new Error('Redis did not answer in time')));
    }, this.#options.timeoutMs ?? 100);
    try {
      return await Promise.race([answer, late]);
    } finally {
      clearTimeout(timer);
      clearImmediate(turn);
    }
  }
}

function parseVerdict(answer: unknown): NonceVerdict {
  if (answer === 'fresh' || answer === 'replayed' || answer === 'before_start') return answer;
  throw new Error('unexpected answer from Redis');
}
