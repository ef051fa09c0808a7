import type { Readable } from 'node:stream';
import type { UserIdentity } from '@countersign/identity';
import { attachWindowMs, maxAttachments, maxFileBytes } from '../../domain/attachments/attachment-limits.ts';
import { safeFileName } from '../../domain/attachments/file-name.ts';
import { secondsToWait } from '../../domain/sliding-window.ts';
import { AppError } from '../../errors.ts';
import type { ReceivedFile } from '../../files/attachment-store.ts';
import {
  countAttachments,
  findOwnComment,
  insertAttachment,
  limitingAttachment,
  takeSpace,
} from '../../store/attachments/attachments.ts';
import { isClaimed } from '../../store/idempotency/keys.ts';
import type { Attachment } from '../../store/schema/attachments.ts';
import { asUser, type Trx } from '../../store/scope.ts';
import { getComplaint } from '../complaints/get-complaint.ts';
import { createOnce, type Idempotent } from '../create-once.ts';
import { announce } from '../events/announce.ts';
import type { FlowParts } from '../parts.ts';

export type Upload = Readonly<{
  complaintId: string;
  /** A comment by the same user. The attachment has the same visibility. */
  commentId?: string | undefined;
  /** The file name that the request sent. */
  name: string;
  body: Readable;
  /** The `Idempotency-Key`. */
  key?: string | undefined;
  /** Aborts if the connection closes. Nothing is then stored. */
  signal: AbortSignal;
}>;

/** What an upload needs. */
export type UploadParts = Pick<FlowParts, 'db' | 'newId' | 'now' | 'files' | 'attachmentSpace'>;

/**
 * Stores a file and its row. Checks the user's access before reading the body, and again when writing the row, because
 * the body may take minutes. Also reads a repeated request to its end, to compare its bytes with the first request.
 *
 * @param answerOf Creates the response, which is stored for repeated requests.
 * @throws AppError `not_found`, `complaint_locked`, `unknown_comment`, `too_many_attachments`, `attachment_space_full`
 *   or `too_many_attached_bytes`, and any error from `AttachmentStore.receive` or `createOnce`.
 */
export async function attachFile<Answer extends Readonly<{ id: string }>>(
  parts: UploadParts,
  user: UserIdentity,
  upload: Upload,
  answerOf: (added: Attachment) => Answer,
): Promise<Answer> {
  const { db, files, newId } = parts;
  await asUser(db, user, (trx) => admit(trx, user, upload));
  const { tenantId, userId } = user;
  const file = await files.receive(upload.body, maxFileBytes, { tenantId, userId, signal: upload.signal });
  const id = newId();
  try {
    // Stored before the row: a row must never refer to a missing file.
    await file.keepAs(id);
    const answer = await asUser(db, user, (trx) =>
      createOnce(trx, parts, user, repeatable(upload, file), async () => {
        const added = await addRow(trx, parts, user, { id, file, upload });
        return { complaintId: upload.complaintId, answer: answerOf(added) };
      }),
    );
    if (answer.id !== id) await files.remove(id);
    return answer;
  } catch (error) {
    await file.discard();
    // After a lost connection, the row may exist. If not, `sweepFiles` removes the file.
    if (!(error instanceof AppError && error.code === 'unavailable')) await files.remove(id);
    throw error;
  }
}

const repeatable = ({ key, complaintId, commentId, name }: Upload, { digest }: ReceivedFile): Idempotent => ({
  key,
  request: ['attach', complaintId, commentId ?? null, name, digest],
});

/** Refuses early if the row would be refused later. A repeated request needs no additional storage. */
async function admit(trx: Trx, user: UserIdentity, upload: Upload): Promise<void> {
  await assertMayAttach(trx, user, upload);
  if (upload.key === undefined || !(await isClaimed(trx, upload.key))) await assertUnderMaxAttachments(trx, upload);
}

/** @returns Whether the attachment is internal. */
async function assertMayAttach(trx: Trx, user: UserIdentity, { complaintId, commentId }: Upload): Promise<boolean> {
  await getComplaint(trx, complaintId, 'change');
  if (commentId === undefined) return false;
  const comment = await findOwnComment(trx, { complaintId, id: commentId, authorId: user.userId });
  if (comment === undefined) throw new AppError('unknown_comment');
  return comment.internal;
}

async function assertUnderMaxAttachments(trx: Trx, { complaintId }: Upload): Promise<void> {
  if ((await countAttachments(trx, complaintId)) >= maxAttachments) throw new AppError('too_many_attachments');
}

async function assertSpace(
  trx: Trx,
  { attachmentSpace }: UploadParts,
  { tenantId, userId }: UserIdentity,
  { bytes, at }: Readonly<{ bytes: number; at: Date }>,
): Promise<void> {
  const hasSpace = await takeSpace(trx, { tenantId, bytes, most: attachmentSpace.ofTenant });
  if (!hasSpace) throw new AppError('attachment_space_full');
  const since = new Date(at.getTime() - attachWindowMs);
  const limiting = await limitingAttachment(trx, { userId, since, bytes, most: attachmentSpace.ofUserPerDay });
  const waitSec = secondsToWait(limiting, at, attachWindowMs);
  if (waitSec > 0) throw new AppError('too_many_attached_bytes', { headers: { 'retry-after': String(waitSec) } });
}

async function addRow(
  trx: Trx,
  parts: UploadParts,
  user: UserIdentity,
  { id, file, upload }: Readonly<{ id: string; file: ReceivedFile; upload: Upload }>,
): Promise<Attachment> {
  upload.signal.throwIfAborted();
  const internal = await assertMayAttach(trx, user, upload);
  await assertUnderMaxAttachments(trx, upload);
  const { tenantId } = user;
  const at = parts.now();
  await assertSpace(trx, parts, user, { bytes: file.bytes, at });
  const added = await insertAttachment(trx, {
    tenant_id: tenantId,
    id,
    complaint_id: upload.complaintId,
    comment_id: upload.commentId ?? null,
    uploader_id: user.userId,
    name: safeFileName(upload.name, file.type),
    media_type: file.type.mediaType,
    bytes: file.bytes,
    width: file.width,
    height: file.height,
    internal,
    created_at: at,
  });
  const complaint = { tenant_id: tenantId, id: upload.complaintId };
  const announcement = { type: 'attachment.added', detail: { attachment_id: id }, internal, actor: user, at } as const;
  await announce(trx, parts, { complaint, ...announcement });
  return added;
}
