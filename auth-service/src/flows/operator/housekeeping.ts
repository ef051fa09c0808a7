import type { Logger } from '@countersign/service-kit';
import type { AuthDatabase } from '../../store/database.ts';
import { removeExpired } from '../../store/upkeep.ts';
import type { SigningKeys } from '../keys/signing-keys.ts';

const everyMs = 30_000;

/**
 * Deletes what has expired and keeps the signing keys going, again and again. Each has its own loop, so that a long
 * deletion does not delay a key.
 *
 * @returns Stops it, after the transactions under way.
 */
export function startHousekeeping(db: AuthDatabase, signingKeys: SigningKeys, logger: Logger): () => Promise<void> {
  const stopped = new AbortController();
  const stops = [repeat(() => removeExpired(db, stopped.signal), logger), repeat(() => signingKeys.refresh(), logger)];
  return async () => {
    stopped.abort();
    await Promise.all(stops.map((stop) => stop()));
  };
}

/** @returns Stops it, after the round under way. */
function repeat(work: () => Promise<void>, logger: Logger): () => Promise<void> {
  let round: Promise<void> | undefined;
  const timer = setInterval(() => {
    round ??= work()
      .catch((error: unknown) => logger.error({ err: error }, 'housekeeping failed; it is tried again'))
      .finally(() => {
        round = undefined;
      });
  }, everyMs);
  timer.unref();
  return async () => {
    clearInterval(timer);
    await round;
  };
}
