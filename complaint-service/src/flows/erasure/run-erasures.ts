import type { Logger } from '@countersign/service-kit';
import {
  anonymiseComplaints,
  deleteComplaints,
  eraseComplainant,
  eraseTraces,
  lockComplaintsOfPerson,
  lockExpired,
  type Removed,
} from '../../store/erasure/erase.ts';
import { countErased, finishErasure, inErasing } from '../../store/erasure/erasing.ts';
import { insertErasure, pendingErasures } from '../../store/erasure/requests.ts';
import type { Erasure, RetentionPolicy } from '../../store/schema/erasure.ts';
import type { FlowParts } from '../parts.ts';

type Parts = Pick<FlowParts, 'db' | 'files' | 'newId' | 'now'> & Readonly<{ logger: Logger }>;

/** Complaints of one transaction, so that it stays short. */
const batchSize = 100;
/** Of one tenant in one round, so that a large tenant does not keep the others waiting. */
const maxBatches = 50;
const dayMs = 24 * 3600_000;

/** Erases what was asked for and what has been kept long enough, in all tenants. */
export async function runErasures(parts: Parts, stopped: AbortSignal): Promise<void> {
  const { persons, policies } = await pendingErasures(parts.db);
  for (const person of persons) await erasePerson(parts, person, stopped);
  for (const policy of policies) await applyRetention(parts, policy, stopped);
}

async function erasePerson(parts: Parts, erasure: Erasure, stopped: AbortSignal): Promise<void> {
  const { id, tenant_id, user_id: userId, texts } = erasure;
  if (userId === null) return;
  const how = texts ?? 'remove';
  for (let batch = 0; batch < maxBatches && !stopped.aborted; batch += 1) {
    const removed = await inErasing(parts.db, tenant_id, async (trx) => {
      const ids = await lockComplaintsOfPerson(trx, userId, batchSize);
      const part =
        ids.length > 0
          ? await eraseComplainant(trx, ids, how)
          : await eraseTraces(trx, { userId, texts: how, limit: batchSize });
      if (part === undefined) await finishErasure(trx, id);
      else await countErased(trx, id, part);
      return part ?? 'finished';
    });
    if (removed === undefined) return;
    if (removed === 'finished') {
      parts.logger.info({ tenant_id, erasure_id: id }, 'a person was erased');
      return;
    }
    await removeFiles(parts, removed);
  }
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
        await insertErasure(trx, { tenant_id, id: erasureId, ...record, requested_at, finished_at: requested_at });
      }
      const erase = action === 'delete' ? deleteComplaints : anonymiseComplaints;
      const part = await erase(trx, ids);
      await countErased(trx, erasureId, part);
      return part;
    });
    if (removed === undefined) return;
    await removeFiles(parts, removed);
    parts.logger.info({ tenant_id, action, complaints: removed.complaints }, 'complaints were kept long enough');
    if (removed.complaints < batchSize) return;
  }
}

/** After the commit. If the process ends in between, `sweepFiles` removes them. */
async function removeFiles({ files }: Parts, { attachments }: Removed): Promise<void> {
  for (const id of attachments) await files.remove(id);
}
