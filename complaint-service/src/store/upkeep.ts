import { sql } from 'kysely';
import { upkeepRole } from './roles.ts';
import type { ComplaintsDatabase } from './schema.ts';

/** Removes expired rows in all tenants. The role's policies hide all other rows. @returns The number of rows. */
export async function removeExpired(
  db: ComplaintsDatabase,
  table: 'events' | 'idempotency_keys' | 'webhook_deliveries',
): Promise<number> {
  const { numDeletedRows } = await db.transaction({ role: upkeepRole }, (trx) =>
    trx.deleteFrom(table).where('created_at', '<', sql<Date>`statement_timestamp()`).executeTakeFirst(),
  );
  return Number(numDeletedRows);
}
