import type { Logger } from '@countersign/service-kit';
import type { AuthDatabase } from '../store/database.ts';
import { removeExpired } from '../store/upkeep.ts';
import type { SigningKeys } from './signing-keys.ts';

const everyMs = 30_000;

/** Deletes what has expired and keeps the signing keys going, again and again. @returns Stops it, after the round under way. */
export function startHousekeeping(db: AuthDatabase, signingKeys: SigningKeys, logger: Logger): () => Promise<void> {
  let round: Promise<void> | undefined;
  const timer = setInterval(() => {
    round ??= tidy(db, signingKeys, logger).finally(() => {
      round = undefined;
    });
  }, everyMs);
  timer.unref();
  return async () => {
    clearInterval(timer);
    await round;
  };
}

async function tidy(db: AuthDatabase, signingKeys: SigningKeys, logger: Logger): Promise<void> {
  const results = await Promise.allSettled([removeExpired(db), signingKeys.refresh()]);
  for (const result of results) {
    if (result.status === 'rejected') logger.error({ err: result.reason }, 'housekeeping failed; it is tried again');
  }
}
