import type { UserIdentity } from '@countersign/identity';
import { AppError } from '../../errors.ts';
import { deleteAttachment, findAttachment, returnSpace } from '../../store/attachments/attachments.ts';
import { asUser } from '../../store/scope.ts';
import { reachComplaint } from '../complaints/reach-complaint.ts';
import type { FlowParts } from '../parts.ts';

/**
 * Removes an attachment: agents and admins any, complainants their own.
 *
 * @throws AppError `not_found`, or `insufficient_role` for an attachment of another member.
 */
export async function removeAttachment(
  { db, files }: FlowParts,
  user: UserIdentity,
  place: Readonly<{ complaintId: string; id: string }>,
): Promise<void> {
  await asUser(db, user, async (trx) => {
    await reachComplaint(trx, place.complaintId, 'change');
    if ((await findAttachment(trx, place)) === undefined) throw new AppError('not_found');
    const removed = await deleteAttachment(trx, place);
    if (removed === undefined) throw new AppError('insufficient_role');
    await returnSpace(trx, user.tenantId, removed.bytes);
  });
  // After the commit. If the process ends in between, `sweepFiles` removes the file.
  await files.remove(place.id);
}
