import type { Logger } from '@countersign/service-kit';
import type { FlowParts } from './flows/parts.ts';
import { startUpkeep } from './flows/upkeep.ts';
import { startWebhookCourier } from './flows/webhooks/deliver-webhooks.ts';

/** Starts what runs beside the requests. @returns Stops it. */
export async function startBackground(parts: FlowParts, logger: Logger): Promise<() => Promise<void>> {
  const { db, now, webhooks } = parts;
  const stops = [await startWebhookCourier({ db, logger, now, ...webhooks }), await startUpkeep(parts, logger)];
  return async () => {
    await Promise.all(stops.map((stop) => stop()));
  };
}
