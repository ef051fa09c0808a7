import { isUniqueViolation } from '@countersign/database';
import type { UserIdentity } from '@countersign/identity';
import { isActive, type Member } from '../../domain/people.ts';
import { AppError } from '../../errors.ts';
import { countTraces, type Traces } from '../../store/erasure/count-traces.ts';
import { cancelErasure, insertErasure, readPolicy, usualPolicy } from '../../store/erasure/requests.ts';
import type { Erasure, RetentionPolicy } from '../../store/schema/erasure.ts';
import { asUser } from '../../store/scope.ts';
import type { FlowParts } from '../parts.ts';

export type ErasurePreview = Readonly<{
  member: Member['status'] | null;
  texts: RetentionPolicy['texts'];
  traces: Traces;
}>;

/**
 * Counts what erasing a person would remove.
 *
 * @throws AppError `not_found` if the id belongs to no member and appears in no complaint; `people_unavailable`.
 */
export async function previewErasure(
  { db, people }: FlowParts,
  admin: UserIdentity,
  userId: string,
): Promise<ErasurePreview> {
  const member = await people.find(admin, userId);
  const { texts, traces } = await asUser(db, admin, async (trx) => {
    const policy = (await readPolicy(trx)) ?? usualPolicy;
    return { texts: policy.texts, traces: await countTraces(trx, { userId, texts: policy.texts }) };
  });
  if (member === undefined && Object.values(traces).every((count) => count === 0)) throw new AppError('not_found');
  return { member: member?.status ?? null, texts, traces };
}

/**
 * Schedules a person's erasure.
 *
 * @throws AppError `member_active`, `erasure_scheduled`, and any error from {@link previewErasure}.
 */
export async function scheduleErasure(parts: FlowParts, admin: UserIdentity, userId: string): Promise<Erasure> {
  const { member, texts } = await previewErasure(parts, admin, userId);
  if (member !== null && isActive({ status: member })) throw new AppError('member_active');
  const at = parts.now();
  const row = {
    tenant_id: admin.tenantId,
    id: parts.newId(),
    kind: 'person',
    user_id: userId,
    texts,
    requested_by: admin.userId,
    session_id: admin.context.sid ?? null,
    request_id: admin.requestId,
    requested_at: at,
    due_at: new Date(at.getTime() + parts.erasureGraceMs),
    finished_at: null,
  } as const;
  try {
    return await asUser(parts.db, admin, (trx) => insertErasure(trx, row));
  } catch (error) {
    if (isUniqueViolation(error, 'erasures_one_a_person')) throw new AppError('erasure_scheduled', { cause: error });
    throw error;
  }
}

/** @throws AppError `not_found`, or `erasure_not_cancellable` if the erasure is due, done or already canceled. */
export async function cancelScheduled({ db, now }: FlowParts, admin: UserIdentity, id: string): Promise<Erasure> {
  return asUser(db, admin, async (trx) => {
    const cancelled = await cancelErasure(trx, { id, by: admin.userId, at: now() });
    if (cancelled !== undefined) return cancelled;
    const known = await trx.selectFrom('erasures').select('id').where('id', '=', id).executeTakeFirst();
    throw new AppError(known === undefined ? 'not_found' : 'erasure_not_cancellable');
  });
}
