import type { Logger } from '@countersign/service-kit';
import type { AuthDatabase } from '../../store/database.ts';
import { removeExpired } from '../../store/upkeep.ts';
import type { SigningKeys } from '../keys/signing-keys.ts';

const everyMs = 30_000;

/**
 * Periodically deletes expired rows and rotates the signing keys. Separate timers keep a long deletion from delaying a
 * rotation.
 *
 * @returns A function that stops both after the current transactions.
 */
export function startHousekeeping(db: AuthDatabase, signingKeys: SigningKeys, logger: Logger): () => Promise<void> {
  const stopped = new AbortController();
  const stops = [repeat(() => removeExpired(db, stopped.signal), logger), repeat(() => signingKeys.refresh(), logger)];
  return async () => {
    stopped.abort();
    await Promise.all(stops.map((stop) => stop()));
  };
}

/** @returns A function that stops the task after the current run. */
function repeat(work: () => Promise<void>, logger: Logger): () => Promise<void> {
  let running: Promise<void> | undefined;
  const timer = setInterval(() => {
    running ??= work()
      .catch((error: unknown) => logger.error({ err: error }, 'housekeeping failed; retrying'))
      .finally(() => {
        running = undefined;
      });
  }, everyMs);
  timer.unref();
  return async () => {
    clearInterval(timer);
    await running;
  };
}
