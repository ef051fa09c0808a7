import type { UserIdentity } from '@countersign/identity';
import { isStaff } from '../../domain/access.ts';
import { answeredBy } from '../../domain/complaints/service-level.ts';
import { timesEnded } from '../../domain/statistics/rollups.ts';
import { AppError } from '../../errors.ts';
import { insertComment } from '../../store/complaints/comments.ts';
import { changeComplaint } from '../../store/complaints/complaints.ts';
import type { Comment, Complaint } from '../../store/schema/complaints.ts';
import type { Trx } from '../../store/scope.ts';
import { addToStatistics } from '../../store/statistics/statistics.ts';
import { announce } from '../events/announce.ts';
import { queueMail } from '../mail/queue-mail.ts';
import type { FlowParts } from '../parts.ts';
import { getComplaint } from './get-complaint.ts';

/**
 * Adds a comment, whatever the complaint's status. The first public comment by an agent or admin counts as the first
 * answer.
 *
 * @throws AppError `not_found`, `complaint_locked`, or `insufficient_role` for an internal comment by a complainant.
 */
export async function commentOnComplaint(
  trx: Trx,
  parts: FlowParts,
  user: UserIdentity,
  { id, body, internal }: Readonly<{ id: string; body: string; internal: boolean }>,
): Promise<Comment> {
  const complaint = await getComplaint(trx, id, 'change');
  if (internal && !isStaff(user)) throw new AppError('insufficient_role');
  const at = parts.now();
  const comment = await insertComment(trx, {
    tenant_id: user.tenantId,
    id: parts.newId(),
    complaint_id: complaint.id,
    author_id: user.userId,
    author_role: user.role,
    body,
    internal,
    created_at: at,
  });
  const detail = { comment_id: comment.id };
  await announce(trx, parts, { complaint, type: 'comment.added', detail, internal, actor: user, at });
  if (!internal && isStaff(user) && user.userId !== complaint.complainant_id) {
    await answer(trx, parts, complaint, at);
    await queueMail(trx, parts, complaint, { kind: 'answered', actorId: user.userId });
  }
  return comment;
}

async function answer(trx: Trx, { newId }: FlowParts, complaint: Complaint, at: Date): Promise<void> {
  const changes = answeredBy(complaint, at);
  if (Object.keys(changes).length === 0) return;
  const answered = await changeComplaint(trx, complaint, changes, { revision: newId(), at });
  await addToStatistics(trx, complaint.tenant_id, { byStatus: [], byAge: [], times: timesEnded(complaint, answered) });
}
