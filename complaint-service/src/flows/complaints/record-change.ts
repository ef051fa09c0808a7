import { countDeltas, timesEnded } from '../../domain/statistics/rollups.ts';
import { changeComplaint } from '../../store/complaints/complaints.ts';
import { addHistory } from '../../store/complaints/history.ts';
import type { Complaint, ComplaintChanges, HistoryEvent } from '../../store/schema/complaints.ts';
import type { Trx } from '../../store/scope.ts';
import { addToStatistics } from '../../store/statistics/statistics.ts';
import { announce, announcementOf } from '../events/announce.ts';
import { mailOf, queueMail } from '../mail/queue-mail.ts';
import type { FlowParts } from '../parts.ts';

export type Change = Readonly<{
  actor: Readonly<{ userId: string; role: string }>;
  at: Date;
  changes: ComplaintChanges;
  event: HistoryEvent | ((after: Complaint) => HistoryEvent);
}>;

/**
 * Changes a locked complaint. Every change goes through this function, which also writes the history and the
 * statistics.
 */
export async function recordChange(
  trx: Trx,
  { newId }: Pick<FlowParts, 'newId'>,
  before: Complaint,
  { actor, at, changes, event }: Change,
): Promise<Complaint> {
  const after = await changeComplaint(trx, before, changes, { revision: newId(), at });
  const happened = typeof event === 'function' ? event(after) : event;
  await addHistory(trx, after, { id: newId(), at, actor, event: happened });
  await announce(trx, { newId }, { complaint: after, ...announcementOf(happened), internal: false, actor, at });
  await queueMail(trx, { newId }, after, { kind: mailOf(happened), actorId: actor.userId });
  await addToStatistics(trx, after.tenant_id, { ...countDeltas(before, after), times: timesEnded(before, after) });
  return after;
}
