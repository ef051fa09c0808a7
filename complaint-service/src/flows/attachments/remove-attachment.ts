import type { UserIdentity } from '@countersign/identity';
import { AppError } from '../../errors.ts';
import { deleteAttachment, findAttachment, returnSpace } from '../../store/attachments/attachments.ts';
import { asUser } from '../../store/scope.ts';
import { getComplaint } from '../complaints/get-complaint.ts';
import { announce } from '../events/announce.ts';
import type { FlowParts } from '../parts.ts';

/**
 * Removes an attachment. Agents and admins can remove any attachment, complainants only their own.
 *
 * @throws AppError `not_found`, `complaint_locked`, or `insufficient_role` for another member's attachment.
 */
export async function removeAttachment(
  parts: FlowParts,
  user: UserIdentity,
  place: Readonly<{ complaintId: string; id: string }>,
): Promise<void> {
  await asUser(parts.db, user, async (trx) => {
    const complaint = await getComplaint(trx, place.complaintId, 'change');
    if ((await findAttachment(trx, place)) === undefined) throw new AppError('not_found');
    const removed = await deleteAttachment(trx, place);
    if (removed === undefined) throw new AppError('insufficient_role');
    await returnSpace(trx, user.tenantId, removed.bytes);
    const detail = { attachment_id: removed.id };
    const announcement = { type: 'attachment.removed', detail, internal: removed.internal, actor: user } as const;
    await announce(trx, parts, { complaint, ...announcement, at: parts.now() });
  });
  // Runs after the commit. If the process ends before this, `sweepFiles` removes the file.
  await parts.files.remove(place.id);
}
