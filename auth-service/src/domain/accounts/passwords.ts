import { createHmac, randomBytes } from 'node:crypto';
import { type Turn, TurnQueue, Turns } from '@countersign/process-kit';
import bcrypt from 'bcrypt';
import { AppError } from '../../errors.ts';
import type { KeyRing } from '../keys/key-ring.ts';

/** Maximum password length, in UTF-16 units. */
export const maxPasswordLength = 256;

export type StoredPassword = Readonly<{ hash: string; pepper_kid: string }>;

export type Passwords = Awaited<ReturnType<typeof createPasswords>>;

/** @param onHash Called for each bcrypt computation. */
export async function createPasswords(
  options: Readonly<{ peppers: KeyRing; cost: number; queue: HashQueue }>,
  onHash: () => void = () => {},
) {
  const { peppers, cost, queue } = options;
  // bcrypt rejects a malformed hash immediately, and that timing would reveal a missing account. So this is a valid
  // hash of a random value.
  const dummy = await bcrypt.hash(randomBytes(32).toString('base64'), cost);
  return {
    /** Every operation that ends in `verify` runs in this. */
    withPlace: queue.withPlace,
    async hash(password: string, turn: Turn): Promise<StoredPassword> {
      const hash = await queue.run(turn, () => {
        onHash();
        return bcrypt.hash(peppered(peppers.current.bytes, password), cost);
      });
      return { hash, pepper_kid: peppers.current.id };
    },
    /**
     * Runs bcrypt exactly once at the current cost, so that the time does not reveal whether the account exists.
     *
     * @param stored Undefined if the account does not exist or has no password.
     * @throws AppError `login_busy` if the queue is full.
     */
    async verify(password: string, stored: StoredPassword | undefined, turn: Turn): Promise<boolean> {
      const pepper = stored && peppers.find(stored.pepper_kid);
      const known = stored !== undefined && pepper !== undefined;
      const matches = await queue.run(turn, async () => {
        onHash();
        const text = peppered(pepper ?? peppers.current.bytes, password);
        const same = await bcrypt.compare(text, known ? stored.hash : dummy);
        if (known) await catchUp(bcrypt.getRounds(stored.hash), cost);
        return same;
      });
      return known && matches;
    },
    /** Whether the hash has an outdated cost or pepper. */
    isStale: (stored: StoredPassword): boolean =>
      stored.pepper_kid !== peppers.current.id || bcrypt.getRounds(stored.hash) !== cost,
  };
}

/**
 * Makes up for an older hash with a lower cost, whose faster response would reveal that the account exists. Each step
 * in cost doubles the work, so one hash of each missing cost fills the gap: 2^n + (2^n + 2^(n+1) + … + 2^(cost-1)) =
 * 2^cost.
 */
async function catchUp(from: number, cost: number): Promise<void> {
  for (let rounds = from; rounds < cost; rounds += 1) await bcrypt.hash('', rounds);
}

/**
 * Turns any password into 64 base64 characters, because bcrypt stops at a NUL and ignores bytes after the 72nd
 * (CVE-2020-7689). Applies NFKC first, because keyboards encode the same character differently (NIST SP 800-63B section
 * 5.1.1.2).
 */
function peppered(pepper: Uint8Array, password: string): string {
  return createHmac('sha384', pepper).update(password.normalize('NFKC'), 'utf8').digest('base64');
}

type HashQueue = ReturnType<typeof createHashQueue>;

const busy = (reason: string) => new AppError('login_busy', { detail: { reason } });

/**
 * Runs a few hashes at a time. A limited number can wait for a limited time: 8 s by default, half of the gateway's
 * timeout. Each hash occupies one of libuv's four threads for a quarter of a second. Without limits, a flood of logins
 * would block all other users of those threads, and every login would time out.
 *
 * Client addresses take turns. A quarter of the places, and every fourth turn, is for known browsers.
 */
export function createHashQueue(limits: Readonly<{ concurrency: number; maxWaiting: number; maxWaitMs?: number }>) {
  const { concurrency, maxWaiting, maxWaitMs = 8_000 } = limits;
  const boundsOf = (places: number) => ({ maxWaiting: places, kept: Math.floor(places / 4) });
  const queue = new TurnQueue({ ...boundsOf(maxWaiting), concurrency, maxWaitMs, refusal: busy });
  const holders = new Turns<AbortController>(boundsOf(concurrency + maxWaiting));
  return {
    get waiting() {
      return queue.waiting;
    },
    /**
     * Runs work that includes a hash. Refuses the work immediately if the address's share of the queue is full, so that a
     * flood costs almost nothing and does not slow down other requests.
     *
     * @param work Passes the turn to `run`, so that work which lost its place to another address never starts its hash.
     *   `share` gives up a kept place for a shared one, and throws `login_busy` if there is none.
     * @throws AppError `login_busy` if too much work is already running or waiting.
     */
    async withPlace<T>(turn: Turn, work: (turn: Turn, share: () => Turn) => Promise<T>): Promise<T> {
      const place = new AbortController();
      const enter = (claim: Turn): Turn => {
        const removed = holders.add(claim, place);
        if (removed === place) throw busy('too many are waiting');
        removed?.abort(busy('made room for another address'));
        return { ...claim, signal: place.signal };
      };
      const share = () => {
        holders.remove(place);
        return enter({ ...turn, keptFor: undefined });
      };
      const entered = enter(turn);
      try {
        return await work(entered, share);
      } finally {
        holders.remove(place);
      }
    },
    /** @throws AppError `login_busy` if the address's share of the queue is full, or this hash waited for `maxWaitMs`. */
    run: <T>(turn: Turn, work: () => Promise<T>): Promise<T> => queue.run(turn, work),
  };
}
