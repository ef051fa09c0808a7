import { pipeline } from 'node:stream/promises';
import { entityTag, jsonOf, namedObject } from '@countersign/service-kit';
import type { Request, Response } from 'express';
import { z } from 'zod';
import { contentDisposition } from '../domain/attachments/file-name.ts';
import { maxAttachments, maxFileBytes } from '../domain/attachments/file-types.ts';
import type { Names } from '../domain/people.ts';
import { AppError, found } from '../errors.ts';
import { attachFile, removeAttachment } from '../flows/attachments.ts';
import { readOf } from '../flows/complaints/get-complaint.ts';
import { findAttachment, listAttachments } from '../store/attachments.ts';
import type { Attachment } from '../store/tables.ts';
import { displayName } from './complaints/complaint-json.ts';
import { complaintPath, creationHeaders, route, time, uuidField } from './route.ts';

const attachment = namedObject('Attachment', {
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
});

const attachmentPath = complaintPath.extend({ attachmentId: uuidField });

const path = '/v1/complaints/:id/attachments';
const shared = { tag: 'Attachments', callers: ['user'] } as const;

const uploadUrl = /^\/v1\/complaints\/[^/?]+\/attachments(\?|$)/;

/** Whether the request body is an upload, which the gateway streams without a digest. */
export function isUpload({ method, originalUrl }: Pick<Request, 'method' | 'originalUrl'>): boolean {
  return method === 'POST' && uploadUrl.test(originalUrl);
}

export const attachmentRoutes = [
  route(`POST ${path}`, {
    ...shared,
    operationId: 'attachFile',
    summary: 'Attach a photo or a document',
    description: `Send the file as the body, up to ${maxFileBytes / 1024 / 1024} MiB. Its type is detected from its bytes: a JPEG, PNG or WebP image, a PDF document or plain text in UTF-8. Images are re-encoded without metadata. A complaint can have up to ${maxAttachments} attachments.`,
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

  route(`GET ${path}`, {
    ...shared,
    operationId: 'listAttachments',
    summary: "List a complaint's attachments, oldest first",
    params: complaintPath,
    responses: { 200: z.object({ items: z.array(attachment) }) },
    errors: ['insufficient_role'],
  }).handle(async ({ identity, params, reply }, parts) => {
    const rows = await readOf(parts.db, identity, params.id, (trx) => listAttachments(trx, params.id));
    const uploaders = rows.map((row) => row.uploader_id);
    const names = await parts.people.namesOf(identity, uploaders);
    reply(200, { items: rows.map((row) => attachmentJson(row, names)) });
  }),

  route(`DELETE ${path}/:attachmentId`, {
    ...shared,
    operationId: 'removeAttachment',
    summary: 'Remove an attachment (complainants only their own)',
    params: attachmentPath,
    responses: { 204: null },
    errors: ['insufficient_role', 'complaint_locked'],
  }).handle(async ({ identity, params, reply }, parts) => {
    await removeAttachment(parts, identity, { complaintId: params.id, id: params.attachmentId });
    reply(204);
  }),

  route(`GET ${path}/:attachmentId`, {
    ...shared,
    operationId: 'downloadAttachment',
    summary: 'Download an attachment',
    params: attachmentPath,
    query: z.strictObject({
      disposition: z
        .enum(['attachment', 'inline'])
        .default('attachment')
        .describe('`inline` lets a browser show an image. Documents are always downloads.'),
    }),
    responses: {
      200: {
        schema: z.string().meta({ format: 'binary' }),
        mediaType: '*/*',
        description: 'The file, with its own media type.',
        headers: { 'content-disposition': 'The file name (RFC 6266).', etag: 'The content never changes.' },
      },
      304: null,
    },
    errors: ['insufficient_role', 'attachment_lost'],
  }).handle(async ({ req, res, identity, params, query }, parts) => {
    const place = { complaintId: params.id, id: params.attachmentId };
    const find = () => readOf(parts.db, identity, params.id, (trx) => findAttachment(trx, place));
    const row = found(await find());
    res.set('etag', entityTag(row.id));
    if (req.fresh) return res.status(304).end();
    const file = await parts.files.open(row.id);
    // The attachment may just have been removed: its row is deleted before its file.
    if (file === undefined) throw new AppError((await find()) === undefined ? 'not_found' : 'attachment_lost');
    setSafeHeaders(res, row, query.disposition);
    // A reader that disconnects early is not an error.
    return pipeline(file, res).catch((error: unknown) => {
      if (!res.destroyed) throw error;
    });
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

const attachmentJson = (row: Attachment, names: Names) =>
  jsonOf(attachment, { ...row, uploader_name: names.get(row.uploader_id) });

/** Keeps a browser from running the file or guessing its type, even when it opens the file directly. */
function setSafeHeaders(res: Response, found: Attachment, disposition: 'attachment' | 'inline'): void {
  res.set({
    'content-type': found.media_type === 'text/plain' ? 'text/plain; charset=utf-8' : found.media_type,
    'content-length': String(found.bytes),
    'content-disposition': contentDisposition(found.name, found.media_type, disposition),
    'content-security-policy': "default-src 'none'; sandbox",
    'x-content-type-options': 'nosniff',
    'cross-origin-resource-policy': 'same-origin',
  });
}
