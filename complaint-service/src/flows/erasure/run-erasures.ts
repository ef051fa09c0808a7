import type { Logger } from '@countersign/service-kit';
import { erasedId, isActive, serviceActors } from '../../domain/people.ts';
import { lockComplaintsOf } from '../../store/complaints/complaints.ts';
import {
  anonymiseComplaints,
  deleteComplaints,
  eraseComplainant,
  eraseTraces,
  lockComplaintsOfPerson,
  lockExpired,
  type Removed,
} from '../../store/erasure/erase.ts';
import {
  countErased,
  dropErasure,
  finishErasure,
  inErasing,
  insertErasure,
  lockErasure,
  pendingErasures,
} from '../../store/erasure/requests.ts';
import { findMembershipUpdate } from '../../store/members/members.ts';
import type { Erasure, RetentionPolicy } from '../../store/schema/erasure.ts';
import type { Trx } from '../../store/scope.ts';
import { setAssignee } from '../complaints/assign-complaint.ts';
import { recordChange } from '../complaints/record-change.ts';
import type { FlowParts } from '../parts.ts';

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
  const { persons, policies, nextAt } = await pendingErasures(parts.db, parts.now());
  for (const person of persons) await erasePerson(parts, person, stopped);
  for (const policy of policies) await applyRetention(parts, policy, stopped);
  return nextAt;
}

async function erasePerson(parts: Parts, erasure: Erasure, stopped: AbortSignal): Promise<void> {
  const { id, tenant_id, user_id: userId, texts } = erasure;
  if (userId === null) return;
  const how = texts ?? 'remove';
  for (let batch = 0; batch < maxBatches && !stopped.aborted; batch += 1) {
    const removed = await inErasing(parts.db, tenant_id, async (trx) => {
      if (!(await lockErasure(trx, id))) return undefined;
      if (isActive(await findMembershipUpdate(trx, userId))) {
        await dropErasure(trx, id, actor.userId);
        return 'active';
      }
      const part =
        (await returnToQueue(trx, parts, userId)) ??
        (await eraseOwnComplaints(trx, parts, { userId, texts: how })) ??
        (await eraseTraces(trx, { userId, texts: how, limit: batchSize }));
      if (part === undefined) await finishErasure(trx, id);
      else await countErased(trx, id, part);
      return part ?? 'finished';
    });
    if (removed === undefined) return;
    if (removed === 'finished' || removed === 'active') {
      const what =
        removed === 'finished'
          ? 'a person was erased'
          : 'a person was not erased, because they are an active member again';
      parts.logger.info({ tenant_id, erasure_id: id }, what);
      return;
    }
    await removeFiles(parts, removed);
  }
}

const actor = serviceActors.complaintService;
type Changing = Pick<Parts, 'newId' | 'now'>;

/** Returns an agent's active complaints to the queue. @returns Undefined if there were none. */
async function returnToQueue(trx: Trx, { newId, now }: Changing, userId: string): Promise<Removed | undefined> {
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
): Promise<Removed | undefined> {
  const own = await lockComplaintsOfPerson(trx, userId, batchSize);
  if (own.length === 0) return undefined;
  const ids = own.map(({ id }) => id);
  if (texts === 'keep') return eraseComplainant(trx, ids);
  for (const complaint of own.filter(({ active }) => active)) {
    const event = { action: 'moved', detail: { from: complaint.status, to: 'withdrawn' } } as const;
    await recordChange(trx, { newId }, complaint, { actor, at: now(), changes: { status: 'withdrawn' }, event });
  }
  return anonymiseComplaints(trx, ids);
}

async function applyRetention(parts: Parts, policy: RetentionPolicy, stopped: AbortSignal): Promise<void> {
  const { tenant_id, closed_days: days, action } = policy;
  if (days === null) return;
  const before = new Date(parts.now().getTime() - days * dayMs);
  const erasureId = parts.newId();
  for (let batch = 0; batch < maxBatches && !stopped.aborted; batch += 1) {
    const removed = await inErasing(parts.db, tenant_id, async (trx) => {
      const ids = await lockExpired(trx, before, batchSize);
      if (ids.length === 0) return undefined;
      if (batch === 0) {
        const record = { kind: 'retention', user_id: null, texts: null, requested_by: null } as const;
        const requested_at = parts.now();
        const times = { requested_at, due_at: requested_at, finished_at: requested_at };
        await insertErasure(trx, { tenant_id, id: erasureId, ...record, ...times });
      }
      const erase = action === 'delete' ? deleteComplaints : anonymiseComplaints;
      const part = await erase(trx, ids);
      await countErased(trx, erasureId, part);
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
async function removeFiles({ files }: Parts, { attachments }: Removed): Promise<void> {
  for (const id of attachments) await files.remove(id);
}
