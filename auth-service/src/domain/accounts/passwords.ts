import { createHmac, randomBytes } from 'node:crypto';
import bcrypt from 'bcrypt';
import type { KeyRing } from '../keys/key-ring.ts';
import type { HashQueue } from './hash-queue.ts';

/** Maximum password length, in UTF-16 units. */
export const maxPasswordLength = 256;

export type StoredPassword = Readonly<{ hash: string; pepperKid: string }>;

export type Passwords = Readonly<{
  /** See `HashQueue`. Every operation that ends in `verify` runs in this. */
  admit: HashQueue['admit'];
  hash(password: string): Promise<StoredPassword>;
  /**
   * Runs bcrypt exactly once at the current cost, so that the time does not reveal whether the account exists.
   *
   * @param stored Undefined if the account does not exist or has no password.
   * @throws AppError `login_busy` if the queue is full.
   */
  verify(password: string, stored: StoredPassword | undefined): Promise<boolean>;
  /** Whether the hash has an outdated cost or pepper. */
  isStale(stored: StoredPassword): boolean;
}>;

/**
 * @param options.cost The bcrypt cost, 4 to 15.
 * @param onHash Called for each bcrypt computation.
 */
export async function createPasswords(
  options: Readonly<{ peppers: KeyRing; cost: number; queue: HashQueue }>,
  onHash: () => void = () => {},
): Promise<Passwords> {
  const { peppers, cost, queue } = options;
  // bcrypt rejects a malformed hash immediately, and that timing would reveal a missing account. So this is a valid
  // hash of a random value.
  const dummy = await bcrypt.hash(randomBytes(32).toString('base64'), cost);
  return {
    admit: queue.admit,
    async hash(password) {
      const hash = await queue.run(() => {
        onHash();
        return bcrypt.hash(peppered(peppers.current.bytes, password), cost);
      });
      return { hash, pepperKid: peppers.current.id };
    },
    async verify(password, stored) {
      const pepper = stored && peppers.find(stored.pepperKid);
      const known = stored !== undefined && pepper !== undefined;
      const matches = await queue.run(async () => {
        onHash();
        const text = peppered(pepper ?? peppers.current.bytes, password);
        const same = await bcrypt.compare(text, known ? stored.hash : dummy);
        if (known) await catchUp(bcrypt.getRounds(stored.hash), cost);
        return same;
      });
      return known && matches;
    },
    isStale: (stored) => stored.pepperKid !== peppers.current.id || bcrypt.getRounds(stored.hash) !== cost,
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
