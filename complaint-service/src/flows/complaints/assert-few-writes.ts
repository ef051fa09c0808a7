import { secondsToWait } from '../../domain/sliding-window.ts';
import { AppError } from '../../errors.ts';
import { oldestOfLatestWrites } from '../../store/complaints/history.ts';
import type { ScopeUser, Trx } from '../../store/scope.ts';

/**
 * Limits a user's writes, independently of the gateway's limits.
 *
 * @throws AppError `too_many_changes` with the seconds to wait.
 */
export async function assertFewWrites(trx: Trx, user: ScopeUser, at: Date): Promise<void> {
  const waitSec = secondsToWait(await oldestOfLatestWrites(trx, user, maxWrites), at, writeWindowMs);
  if (waitSec > 0) throw new AppError('too_many_changes', { headers: { 'retry-after': String(waitSec) } });
}

/** How many complaints a user can file and edit per minute. Each may write hundreds of search rows. */
export const maxWrites = 60;
export const writeWindowMs = 60_000;
