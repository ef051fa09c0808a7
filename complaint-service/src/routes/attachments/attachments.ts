import { jsonOf } from '@countersign/service-kit';
import type { Request, Response } from 'express';
import { z } from 'zod';
import { maxAttachments, maxFileBytes } from '../../domain/attachments/attachment-limits.ts';
import { AppError } from '../../errors.ts';
import { attachFile } from '../../flows/attachments/attach-file.ts';
import { removeAttachment } from '../../flows/attachments/remove-attachment.ts';
import { getComplaint } from '../../flows/complaints/get-complaint.ts';
import { listAttachments } from '../../store/attachments/attachments.ts';
import type { Attachment } from '../../store/schema/attachments.ts';
import { asUser } from '../../store/scope.ts';
import { displayName } from '../complaints/complaint-json.ts';
import { complaintPath, creationHeaders, time, uuidField } from '../fields.ts';
import { route } from '../route.ts';

const attachment = z
  .object({
    id: z.uuid(),
    complaint_id: z.uuid(),
    comment_id: z.uuid().nullable(),
    uploader_id: z.string(),
    uploader_name: displayName,
    name: z.string().describe('The sanitized file name, with the extension for the detected type.'),
    media_type: z.string(),
    bytes: z.int(),
    width: z.int().nullable().describe('Of images, in pixels.'),
    height: z.int().nullable(),
    internal: z.boolean().describe('Whether only agents and admins can see it, as for an internal note.'),
    created_at: time,
  })
  .meta({ id: 'Attachment' });

export const attachmentPath = complaintPath.extend({ attachmentId: uuidField });

const path = '/v1/complaints/:id/attachments';

const uploadUrl = /^\/v1\/complaints\/[^/?]+\/attachments(\?|$)/;

/** Whether the request body is an upload, which the gateway streams without a digest. */
export function isUpload({ method, originalUrl }: Pick<Request, 'method' | 'originalUrl'>): boolean {
  return method === 'POST' && uploadUrl.test(originalUrl);
}

export const attachmentRoutes = [
  route({
    method: 'post',
    path,
    operationId: 'attachFile',
    tag: 'Attachments',
    summary: 'Attach a photo or a document',
    description: `Send the file as the body, up to ${maxFileBytes / 1024 / 1024} MiB. Its type is detected from its bytes: a JPEG, PNG or WebP image, a PDF document or plain text in UTF-8. Images are re-encoded without metadata. A complaint can have up to ${maxAttachments} attachments.`,
    callers: ['user'],
    params: complaintPath,
    headers: creationHeaders,
    query: z.strictObject({
      name: z.string().max(1_000).default('').describe('The file name.'),
      comment_id: uuidField.optional().describe('One of your comments. The attachment has the same visibility.'),
    }),
    upload: { 'application/octet-stream': null, 'image/*': null, 'application/pdf': null, 'text/plain': null },
    responses: { 201: { schema: attachment, headers: { location: "The file's path." } } },
    errors: [
      'insufficient_role',
      'complaint_locked',
      'unknown_comment',
      'unsupported_file_type',
      'unreadable_image',
      'too_many_attachments',
      'attachment_space_full',
      'too_many_attached_bytes',
      'attachments_busy',
      'idempotency_key_reused',
    ],
  }).handle(async ({ req, res, identity, params, query, headers, reply }, parts) => {
    const names = await parts.people.namesOf(identity, [identity.userId]);
    const upload = {
      complaintId: params.id,
      commentId: query.comment_id,
      name: query.name,
      body: req,
      key: headers['idempotency-key'],
      signal: closeOf(res),
    };
    const added = await attachFile(parts, identity, upload, (row) => attachmentJson(row, names));
    res.location(`/v1/complaints/${params.id}/attachments/${added.id}`);
    reply(201, added);
  }),

  route({
    method: 'get',
    path,
    operationId: 'listAttachments',
    tag: 'Attachments',
    summary: "List a complaint's attachments, oldest first",
    callers: ['user'],
    params: complaintPath,
    responses: { 200: z.object({ items: z.array(attachment) }) },
    errors: ['insufficient_role'],
  }).handle(async ({ identity, params, reply }, parts) => {
    const found = await asUser(parts.db, identity, async (trx) => {
      await getComplaint(trx, params.id, 'read');
      return listAttachments(trx, params.id);
    });
    const uploaders = found.map((row) => row.uploader_id);
    const names = await parts.people.namesOf(identity, uploaders);
    reply(200, { items: found.map((row) => attachmentJson(row, names)) });
  }),

  route({
    method: 'delete',
    path: '/v1/complaints/:id/attachments/:attachmentId',
    operationId: 'removeAttachment',
    tag: 'Attachments',
    summary: 'Remove an attachment (complainants only their own)',
    callers: ['user'],
    params: attachmentPath,
    responses: { 204: null },
    errors: ['insufficient_role', 'complaint_locked'],
  }).handle(async ({ identity, params, reply }, parts) => {
    await removeAttachment(parts, identity, { complaintId: params.id, id: params.attachmentId });
    reply(204);
  }),
];

/** Aborts if the connection closes before the response is sent. */
function closeOf(res: Response): AbortSignal {
  const closed = new AbortController();
  res.on('close', () => {
    closed.abort(new AppError('invalid_request', { detail: { reason: 'the client closed the request' } }));
  });
  return closed.signal;
}

const attachmentJson = (row: Attachment, names: ReadonlyMap<string, string>) =>
  jsonOf(attachment, { ...row, uploader_name: names.get(row.uploader_id) ?? null });
