import type { Logger } from '@countersign/service-kit';
import { Counter, type Registry } from 'prom-client';
import { type RefreshObserver, refreshOutcomes } from './refresh.ts';

/** Counts outcomes of refreshes, and logs an alarm for a token that we cannot have issued. */
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
    // A counter that was never issued: a MAC key has leaked, or the database was restored from a backup.
    logger.error({ alarm: 'refresh_token_ahead', ...session }, 'a refresh token has a valid MAC but was never issued');
  };
}
