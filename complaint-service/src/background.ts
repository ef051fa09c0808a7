import type { Logger } from '@countersign/service-kit';
import type { FlowParts } from './flows/parts.ts';
import { startWebhookCourier } from './flows/webhooks/deliver-webhooks.ts';

/** Starts what runs beside the requests. @returns Stops it. */
export async function startBackground({ db, now, webhooks }: FlowParts, logger: Logger): Promise<() => Promise<void>> {
  return startWebhookCourier({ db, logger, now, ...webhooks });
}
