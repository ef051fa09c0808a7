import { notify } from '@countersign/database';
import { type Insertable, sql } from 'kysely';
import { eraserRole, upkeepRole } from '../roles.ts';
import type { Erasure, ErasureTables, RetentionPolicy } from '../schema/erasure.ts';
import type { ComplaintsDatabase, Trx } from '../scope.ts';
import { lockErasing, type Removed } from './erase.ts';

/** The channel that wakes the upkeep in all instances. */
export const upkeepChannel = 'countersign_complaint_upkeep';

/** The policy of a tenant that has not set one. */
export const usualPolicy = { closed_days: null, action: 'anonymise', texts: 'remove' } as const;

/** The condition of the index `erasures_waiting`. */
const isWaiting = sql<boolean>`kind = 'person' and finished_at is null and cancelled_at is null`;

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
  await notify(trx, upkeepChannel);
  return trx.insertInto('erasures').values(erasure).returningAll().executeTakeFirstOrThrow();
}

/** Lists the tenant's latest erasures. */
export function listErasures(trx: Trx, limit: number): Promise<Erasure[]> {
  return trx
    .selectFrom('erasures')
    .selectAll()
    .orderBy('requested_at', 'desc')
    .orderBy('id', 'desc')
    .limit(limit)
    .execute();
}

/** Cancels a person's erasure that is not due yet. @returns Undefined if there is no such erasure. */
export function cancelErasure(
  trx: Trx,
  { id, by, at }: Readonly<{ id: string; by: string; at: Date }>,
): Promise<Erasure | undefined> {
  return trx
    .updateTable('erasures')
    .set({ cancelled_at: at, cancelled_by: by })
    .where('id', '=', id)
    .where(isWaiting)
    .where('due_at', '>', at)
    .returningAll()
    .executeTakeFirst();
}

/** Finds the due erasures in all tenants, and the time of the next one. */
export function pendingErasures(
  db: ComplaintsDatabase,
  now: Date,
): Promise<Readonly<{ persons: Erasure[]; policies: RetentionPolicy[]; nextAt: Date | undefined }>> {
  return db.transaction({ role: upkeepRole }, async (trx) => {
    const waiting = trx.selectFrom('erasures').where(isWaiting).orderBy('due_at');
    const next = await waiting.select('due_at').where('due_at', '>', now).limit(1).executeTakeFirst();
    return {
      persons: await waiting.selectAll().where('due_at', '<=', now).limit(100).execute(),
      policies: await trx.selectFrom('retention_policies').selectAll().where('closed_days', 'is not', null).execute(),
      nextAt: next?.due_at,
    };
  });
}

/** Runs one short erasure transaction in a tenant. @returns Undefined while another instance erases there. */
export function inErasing<T>(
  db: ComplaintsDatabase,
  tenantId: string,
  work: (trx: Trx) => Promise<T>,
): Promise<T | undefined> {
  return db.transaction({ role: eraserRole, tenantId }, async (trx) =>
    (await lockErasing(trx, tenantId)) ? work(trx) : undefined,
  );
}

export async function countErased(trx: Trx, id: string, removed: Removed): Promise<void> {
  await trx
    .updateTable('erasures')
    .set((of) => ({
      complaints: of('complaints', '+', removed.complaints),
      comments: of('comments', '+', removed.comments),
      attachments: of('attachments', '+', removed.attachments.length),
    }))
    .where('id', '=', id)
    .execute();
}

/**
 * Locks the record of a running erasure.
 *
 * @returns False if it is done, or was canceled meanwhile.
 */
export async function lockErasure(trx: Trx, id: string): Promise<boolean> {
  const waiting = trx.selectFrom('erasures').select('id').where('id', '=', id).where(isWaiting);
  return (await waiting.forUpdate().execute()).length > 0;
}

/** Cancels the erasure of a person who became an active member again. */
export async function dropErasure(trx: Trx, id: string, by: string): Promise<void> {
  const cancelled = { cancelled_at: sql<Date>`clock_timestamp()`, cancelled_by: by };
  await trx.updateTable('erasures').set(cancelled).where('id', '=', id).execute();
}

export async function finishErasure(trx: Trx, id: string): Promise<void> {
  await trx.updateTable('erasures').set({ finished_at: sql<Date>`clock_timestamp()` }).where('id', '=', id).execute();
}
