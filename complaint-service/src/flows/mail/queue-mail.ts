import type { MailKind } from '../../domain/mail/mail-text.ts';
import { addMail } from '../../store/mail/outbox.ts';
import type { HistoryEvent } from '../../store/schema/complaints.ts';
import type { Trx } from '../../store/scope.ts';
import type { FlowParts } from '../parts.ts';

const mailedStatuses = ['resolved', 'closed', 'rejected', 'duplicate'] as const;

/**
 * Queues the emails about a change, in the transaction of the change. The recipients are found later, because a
 * complainant's transaction does not see other watchers.
 */
export async function queueMail(
  trx: Trx,
  { newId }: Pick<FlowParts, 'newId'>,
  complaint: Readonly<{ tenant_id: string; id: string }>,
  { kind, actorId }: Readonly<{ kind: MailKind | undefined; actorId: string }>,
): Promise<void> {
  if (kind === undefined) return;
  const { tenant_id, id: complaint_id } = complaint;
  await addMail(trx, { tenant_id, id: newId(), complaint_id, kind, actor_id: actorId });
}

/** Returns the email about a change, if any. A change that affects only the team sends none. */
export function mailOf({ action, detail }: HistoryEvent): MailKind | undefined {
  if (action === 'assigned') return detail.to === detail.from ? undefined : 'assigned';
  return action === 'moved' ? mailedStatuses.find((status) => status === detail.to) : undefined;
}
