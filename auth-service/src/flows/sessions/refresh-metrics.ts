import type { Logger } from '@countersign/service-kit';
import { Counter, type Registry } from 'prom-client';
import { type RefreshObserver, refreshOutcomes } from './refresh.ts';

/** Counts what refreshes led to, and raises the alarm for what nothing of ours can have caused. */
export function observeRefreshes(registry: Registry, logger: Logger): RefreshObserver {
  const counter = new Counter({
    name: 'auth_refreshes_total',
    help: 'Refreshes by outcome: rotated; repeated (a lost answer, within the grace); everything else was refused, and reuse, ahead and inactive ended the family.',
    labelNames: ['outcome'],
    registers: [registry],
  });
  for (const outcome of refreshOutcomes) counter.inc({ outcome }, 0);
  return (outcome, session) => {
    counter.inc({ outcome });
    if (outcome !== 'ahead') return;
    // A number that was never given out: a MAC key is known to somebody, or the database was restored from a backup.
    logger.error({ alarm: 'refresh_token_ahead', ...session }, 'a refresh token of ours that was never given out');
  };
}
