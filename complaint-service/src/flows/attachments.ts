import type { Readable } from 'node:stream';
import { insertRow, remove, rowsWith } from '@countersign/database';
import type { UserIdentity } from '@countersign/identity';
import { safeFileName } from '../domain/attachments/file-name.ts';
import { attachWindowMs, maxAttachments, maxFileBytes } from '../domain/attachments/file-types.ts';
import { secondsToWait } from '../domain/sliding-window.ts';
import { AppError, found } from '../errors.ts';
import type { ReceivedFile } from '../files/attachment-store.ts';
import * as store from '../store/attachments.ts';
import { isClaimed } from '../store/idempotency-keys.ts';
import { asUser, type Trx } from '../store/schema.ts';
import type { Attachment } from '../store/tables.ts';
import { getComplaint } from './complaints/get-complaint.ts';
import { createOnce, type Idempotent } from './create-once.ts';
import { announce } from './events/announce.ts';
import type { FlowParts } from './parts.ts';

export type Upload = Readonly<{
  complaintId: string;
  commentId?: string | undefined;
  name: string;
  body: Readable;
  key?: string | undefined;
  /** Aborts if the connection closes. Nothing is then stored. */
  signal: AbortSignal;
}>;

type UploadParts = Pick<FlowParts, 'db' | 'newId' | 'now' | 'files' | 'attachmentSpace'>;

/**
 * Stores a file and its row. Checks the user's access before reading the body, and again when writing the row, because
 * the body may take minutes. Also reads a repeated request to its end, to compare its bytes with the first request.
 *
 * @param answerOf Creates the response, which is stored for repeated requests.
 */
export async function attachFile<Answer extends Readonly<{ id: string }>>(
  parts: UploadParts,
  user: UserIdentity,
  upload: Upload,
  answerOf: (added: Attachment) => Answer,
): Promise<Answer> {
  const { db, files, newId } = parts;
  await asUser(db, user, (trx) => refuseEarly(trx, user, upload));
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
async function refuseEarly(trx: Trx, user: UserIdentity, upload: Upload): Promise<void> {
  await assertMayAttach(trx, user, upload);
  if (upload.key === undefined || !(await isClaimed(trx, upload.key))) await assertUnderMaxAttachments(trx, upload);
}

/** @returns Whether the attachment is internal. */
async function assertMayAttach(trx: Trx, user: UserIdentity, { complaintId, commentId }: Upload): Promise<boolean> {
  await getComplaint(trx, complaintId, 'change');
  if (commentId === undefined) return false;
  const own = rowsWith(trx, 'comments', { complaint_id: complaintId, id: commentId, author_id: user.userId });
  const comment = await own.select('internal').executeTakeFirst();
  if (comment === undefined) throw new AppError('unknown_comment');
  return comment.internal;
}

async function assertUnderMaxAttachments(trx: Trx, { complaintId }: Upload): Promise<void> {
  if ((await store.countAttachments(trx, complaintId)) >= maxAttachments) throw new AppError('too_many_attachments');
}

async function assertSpace(
  trx: Trx,
  { attachmentSpace }: UploadParts,
  { tenantId, userId }: UserIdentity,
  { bytes, at }: Readonly<{ bytes: number; at: Date }>,
): Promise<void> {
  const hasSpace = await store.takeSpace(trx, { tenantId, bytes, most: attachmentSpace.ofTenant });
  if (!hasSpace) throw new AppError('attachment_space_full');
  const since = new Date(at.getTime() - attachWindowMs);
  const limiting = await store.limitingAttachment(trx, { userId, since, bytes, most: attachmentSpace.ofUserPerDay });
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
  const added = await insertRow(trx, 'attachments', {
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

/** Removes an attachment. Agents and admins can remove any attachment, complainants only their own. */
export async function removeAttachment(
  parts: FlowParts,
  user: UserIdentity,
  place: Readonly<{ complaintId: string; id: string }>,
): Promise<void> {
  await asUser(parts.db, user, async (trx) => {
    const complaint = await getComplaint(trx, place.complaintId, 'change');
    const removed = found(await store.findAttachment(trx, place));
    if (!(await remove(trx, 'attachments', { id: removed.id }))) throw new AppError('insufficient_role');
    await store.returnSpace(trx, user.tenantId, removed.bytes);
    const detail = { attachment_id: removed.id };
    const announcement = { type: 'attachment.removed', detail, internal: removed.internal, actor: user } as const;
    await announce(trx, parts, { complaint, ...announcement, at: parts.now() });
  });
  // Runs after the commit. If the process ends before this, `sweepFiles` removes the file.
  await parts.files.remove(place.id);
}

const batchSize = 500;
/** Longer than any upload takes, because its row is written last. */
const minAgeMs = 6 * 3600_000;

/**
 * Removes stored files without a row, from aborted uploads or interrupted deletions.
 *
 * @returns The number of removed files.
 */
export async function sweepFiles(
  { db, files, now }: Pick<FlowParts, 'db' | 'files' | 'now'>,
  signal: AbortSignal,
): Promise<number> {
  let removed = 0;
  let batch: string[] = [];
  const removeOrphans = async () => {
    if (batch.length === 0) return;
    const existing = await store.existingIds(db, batch);
    for (const id of batch) {
      if (existing.has(id)) continue;
      await files.remove(id);
      removed += 1;
    }
    batch = [];
  };
  for await (const id of files.oldFiles(now().getTime() - minAgeMs)) {
    batch.push(id);
    if (batch.length === batchSize) await removeOrphans();
    if (signal.aborted) return removed;
  }
  await removeOrphans();
  return removed;
}
