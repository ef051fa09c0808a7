import { type Logger, startBackgroundLoop } from '@countersign/service-kit';
import type { AuthDatabase } from '../../store/database.ts';
import { removeExpired } from '../../store/upkeep.ts';
import type { SigningKeys } from '../keys/signing-keys.ts';

const everyMs = 30_000;

/**
 * Periodically deletes expired rows and rotates the signing keys. Separate loops keep a long deletion from delaying a
 * rotation.
 *
 * @returns A function that stops both after the current transactions.
 */
export function startHousekeeping(db: AuthDatabase, signingKeys: SigningKeys, logger: Logger): () => Promise<void> {
  const tasks = [(stopped: AbortSignal) => removeExpired(db, stopped), () => signingKeys.refresh()];
  const loops = tasks.map((task) =>
    startBackgroundLoop({
      run: (stopped) => task(stopped).then(() => everyMs),
      onError: (error) => logger.error({ err: error }, 'housekeeping failed; retrying'),
      afterFailureMs: everyMs,
    }),
  );
  return async () => {
    await Promise.all(loops.map((loop) => loop.stop()));
  };
}
