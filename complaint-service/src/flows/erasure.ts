import { isUniqueViolation } from '@countersign/database';
import type { UserIdentity } from '@countersign/identity';
import type { Logger } from '@countersign/process-kit';
import { erasedId, isActive, serviceActors } from '../domain/people.ts';
import { AppError } from '../errors.ts';
import { lockComplaintsOf } from '../store/complaints/complaints.ts';
import * as store from '../store/erasure/erase.ts';
import { findMembershipUpdate } from '../store/members.ts';
import { asUser, type Trx } from '../store/schema.ts';
import type { Erasure, RetentionPolicy } from '../store/tables.ts';
import { recordChange, setAssignee } from './complaints/work.ts';
import type { FlowParts } from './parts.ts';

/**
 * Counts what erasing a person would remove.
 *
 * @throws AppError `not_found` if the id belongs to no member and appears in no complaint; `people_unavailable`.
 */
export async function previewErasure({ db, people }: FlowParts, admin: UserIdentity, userId: string) {
  const member = await people.find(admin, userId);
  const { texts, traces } = await asUser(db, admin, async (trx) => {
    const policy = (await store.readPolicy(trx)) ?? store.usualPolicy;
    return { texts: policy.texts, traces: await store.countTraces(trx, { userId, texts: policy.texts }) };
  });
  if (member === undefined && Object.values(traces).every((count) => count === 0)) throw new AppError('not_found');
  return { member: member?.status ?? null, texts, traces };
}

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
    return await asUser(parts.db, admin, (trx) => store.insertErasure(trx, row));
  } catch (error) {
    if (isUniqueViolation(error, 'erasures_one_a_person')) throw new AppError('erasure_scheduled', { cause: error });
    throw error;
  }
}

/** @throws AppError `not_found`, or `erasure_not_cancellable` if the erasure is due, done or already canceled. */
export async function cancelScheduled({ db, now }: FlowParts, admin: UserIdentity, id: string): Promise<Erasure> {
  return asUser(db, admin, async (trx) => {
    const cancelled = await store.cancelErasure(trx, { id, by: admin.userId, at: now() });
    if (cancelled !== undefined) return cancelled;
    const known = await trx.selectFrom('erasures').select('id').where('id', '=', id).executeTakeFirst();
    throw new AppError(known === undefined ? 'not_found' : 'erasure_not_cancellable');
  });
}

type Parts = Pick<FlowParts, 'db' | 'files' | 'newId' | 'now'> & Readonly<{ logger: Logger }>;

/** The maximum number of complaints per transaction, so that transactions stay short. */
const batchSize = 100;
/** The maximum number of batches per tenant and run, so that a large tenant does not delay the others. */
const maxBatches = 50;
const dayMs = 24 * 3600_000;

/**
 * Erases people whose erasure is due, and complaints whose retention period has ended, in all tenants.
 *
 * @returns The time of the next erasure.
 */
export async function runErasures(parts: Parts, stopped: AbortSignal): Promise<Date | undefined> {
  const { persons, policies, nextAt } = await store.pendingErasures(parts.db, parts.now());
  for (const person of persons) await erasePerson(parts, person, stopped);
  for (const policy of policies) await applyRetention(parts, policy, stopped);
  return nextAt;
}

async function erasePerson(parts: Parts, erasure: Erasure, stopped: AbortSignal): Promise<void> {
  const { id, tenant_id, user_id: userId, texts } = erasure;
  if (userId === null) return;
  const how = texts ?? 'remove';
  for (let batch = 0; batch < maxBatches && !stopped.aborted; batch += 1) {
    const removed = await store.inErasing(parts.db, tenant_id, async (trx) => {
      if (!(await store.lockErasure(trx, id))) return undefined;
      if (isActive(await findMembershipUpdate(trx, userId))) {
        await store.endErasure(trx, id, actor.userId);
        return 'a person was not erased, because they are an active member again';
      }
      const part =
        (await returnToQueue(trx, parts, userId)) ??
        (await eraseOwnComplaints(trx, parts, { userId, texts: how })) ??
        (await store.eraseTraces(trx, { userId, texts: how, limit: batchSize }));
      if (part === undefined) await store.endErasure(trx, id);
      else await store.countErased(trx, id, part);
      return part ?? 'a person was erased';
    });
    if (removed === undefined) return;
    if (typeof removed === 'string') return parts.logger.info({ tenant_id, erasure_id: id }, removed);
    await removeFiles(parts, removed);
  }
}

const actor = serviceActors.complaintService;
type Changing = Pick<Parts, 'newId' | 'now'>;

/** Returns an agent's active complaints to the queue. @returns Undefined if there were none. */
async function returnToQueue(trx: Trx, { newId, now }: Changing, userId: string): Promise<store.Removed | undefined> {
  const assigned = await lockComplaintsOf(trx, userId, batchSize);
  const returning = { assigneeId: null, actor, at: now(), reason: 'The assignee was erased.' };
  for (const complaint of assigned) {
    // The id that is being erased must not enter the history, events or webhooks.
    await setAssignee(trx, { newId }, { ...complaint, assignee_id: erasedId }, returning);
  }
  return assigned.length === 0 ? undefined : { complaints: 0, comments: 0, attachments: [] };
}

/**
 * Erases a person from their own complaints. If texts are also removed, withdraws active complaints and anonymizes all
 * of them.
 *
 * @returns Undefined if there were none.
 */
async function eraseOwnComplaints(
  trx: Trx,
  { newId, now }: Changing,
  { userId, texts }: Readonly<{ userId: string; texts: RetentionPolicy['texts'] }>,
): Promise<store.Removed | undefined> {
  const own = await store.lockComplaintsOfPerson(trx, userId, batchSize);
  if (own.length === 0) return undefined;
  const ids = own.map(({ id }) => id);
  if (texts === 'keep') return store.eraseComplainant(trx, ids);
  for (const complaint of own.filter(({ active }) => active)) {
    const event = { action: 'moved', detail: { from: complaint.status, to: 'withdrawn' } } as const;
    await recordChange(trx, { newId }, complaint, { actor, at: now(), changes: { status: 'withdrawn' }, event });
  }
  return store.anonymiseComplaints(trx, ids);
}

async function applyRetention(parts: Parts, policy: RetentionPolicy, stopped: AbortSignal): Promise<void> {
  const { tenant_id, closed_days: days, action } = policy;
  if (days === null) return;
  const before = new Date(parts.now().getTime() - days * dayMs);
  const erasureId = parts.newId();
  for (let batch = 0; batch < maxBatches && !stopped.aborted; batch += 1) {
    const removed = await store.inErasing(parts.db, tenant_id, async (trx) => {
      const ids = await store.lockExpired(trx, before, batchSize);
      if (ids.length === 0) return undefined;
      if (batch === 0) {
        const record = { kind: 'retention', user_id: null, texts: null, requested_by: null } as const;
        const requested_at = parts.now();
        const times = { requested_at, due_at: requested_at, finished_at: requested_at };
        await store.insertErasure(trx, { tenant_id, id: erasureId, ...record, ...times });
      }
      const erase = action === 'delete' ? store.deleteComplaints : store.anonymiseComplaints;
      const part = await erase(trx, ids);
      await store.countErased(trx, erasureId, part);
      return part;
    });
    if (removed === undefined) return;
    await removeFiles(parts, removed);
    parts.logger.info(
      { tenant_id, action, complaints: removed.complaints },
      'complaints were removed by the retention policy',
    );
    if (removed.complaints < batchSize) return;
  }
}

/** Runs after the commit. If the process ends before this, `sweepFiles` removes the files. */
async function removeFiles({ files }: Parts, { attachments }: store.Removed): Promise<void> {
  for (const id of attachments) await files.remove(id);
}
