import { type Logger, startBackgroundLoop } from '@countersign/service-kit';
import { upkeepChannel } from '../store/erasure/requests.ts';
import { removeExpired } from '../store/upkeep.ts';
import { giveUpWaiting } from '../store/webhooks/courier.ts';
import { sweepFiles } from './attachments/sweep-files.ts';
import { runErasures } from './erasure/run-erasures.ts';
import type { FlowParts } from './parts.ts';

const everyMs = 3600_000;

/**
 * Erases people when their erasure is due. Every hour, also removes old events, stored responses, deliveries and files,
 * and drops deliveries that no webhook will send.
 *
 * @returns A function that stops this after the current transaction.
 */
export async function startUpkeep(parts: FlowParts, logger: Logger): Promise<() => Promise<void>> {
  let sweepAtMs = 0;
  const loop = startBackgroundLoop({
    async run(stopped) {
      const nextAt = await runErasures({ ...parts, logger }, stopped);
      if (performance.now() >= sweepAtMs && !stopped.aborted) {
        sweepAtMs = performance.now() + everyMs;
        const events = await removeExpired(parts.db, 'events');
        const answers = await removeExpired(parts.db, 'idempotency_keys');
        const givenUp = await giveUpWaiting(parts.db);
        const deliveries = await removeExpired(parts.db, 'webhook_deliveries');
        const files = await sweepFiles(parts, stopped);
        logger.debug({ events, answers, givenUp, deliveries, files }, 'removed old rows and files');
      }
      return nextAt === undefined ? everyMs : Math.min(everyMs, Math.max(0, nextAt.getTime() - parts.now().getTime()));
    },
    onError: (error) => logger.error({ err: error }, 'upkeep failed; retrying'),
    afterFailureMs: 60_000,
  });
  const stopListening = await parts.db.listen(upkeepChannel, loop.wake);
  return async () => {
    await stopListening();
    await loop.stop();
  };
}
