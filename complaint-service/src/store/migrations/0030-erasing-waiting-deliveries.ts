import type { Migration } from '@countersign/database';
import { eraserRole } from '../roles.ts';

/** Erasing a person removes their id from deliveries that wait, too. */
export const erasingWaitingDeliveriesMigration: Migration = {
  name: '0030-erasing-waiting-deliveries',
  statements: [`grant update (payload) on webhook_deliveries to ${eraserRole}`],
};
