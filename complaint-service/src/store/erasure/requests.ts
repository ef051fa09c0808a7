import { type Insertable, sql } from 'kysely';
import { upkeepRole } from '../roles.ts';
import type { Erasure, ErasureTables, RetentionPolicy } from '../schema/erasure.ts';
import type { ComplaintsDatabase, Trx } from '../scope.ts';

/** Wakes the upkeep of all instances. */
export const upkeepChannel = 'countersign_complaint_upkeep';

export function readPolicy(trx: Trx): Promise<RetentionPolicy | undefined> {
  return trx.selectFrom('retention_policies').selectAll().executeTakeFirst();
}

export function savePolicy(trx: Trx, policy: RetentionPolicy): Promise<RetentionPolicy> {
  const { tenant_id: _, ...changes } = policy;
  return trx
    .insertInto('retention_policies')
    .values(policy)
    .onConflict((conflict) => conflict.column('tenant_id').doUpdateSet(changes))
    .returningAll()
    .executeTakeFirstOrThrow();
}

export async function insertErasure(trx: Trx, erasure: Insertable<ErasureTables['erasures']>): Promise<Erasure> {
  await sql`select pg_notify(${upkeepChannel}, '')`.execute(trx);
  return trx.insertInto('erasures').values(erasure).returningAll().executeTakeFirstOrThrow();
}

/** The latest erasures of the tenant. */
export function listErasures(trx: Trx, limit: number): Promise<Erasure[]> {
  return trx
    .selectFrom('erasures')
    .selectAll()
    .orderBy('requested_at', 'desc')
    .orderBy('id', 'desc')
    .limit(limit)
    .execute();
}

/** What is to be erased, in all tenants. */
export function pendingErasures(
  db: ComplaintsDatabase,
): Promise<Readonly<{ persons: Erasure[]; policies: RetentionPolicy[] }>> {
  return db.transaction({ role: upkeepRole }, async (trx) => ({
    persons: await trx
      .selectFrom('erasures')
      .selectAll()
      .where('finished_at', 'is', null)
      .orderBy('requested_at')
      .limit(100)
      .execute(),
    policies: await trx.selectFrom('retention_policies').selectAll().where('closed_days', 'is not', null).execute(),
  }));
}
