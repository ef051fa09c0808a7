import { pipeline } from 'node:stream/promises';
import { entityTag } from '@countersign/service-kit';
import type { Response } from 'express';
import { z } from 'zod';
import { contentDisposition } from '../../domain/attachments/file-name.ts';
import { AppError } from '../../errors.ts';
import { getComplaint } from '../../flows/complaints/get-complaint.ts';
import { findAttachment } from '../../store/attachments/attachments.ts';
import type { Attachment } from '../../store/schema/attachments.ts';
import { asUser } from '../../store/scope.ts';
import { route } from '../route.ts';
import { attachmentPath } from './attachments.ts';

export const downloadRoutes = [
  route({
    method: 'get',
    path: '/v1/complaints/:id/attachments/:attachmentId',
    operationId: 'downloadAttachment',
    tag: 'Attachments',
    summary: 'Download an attachment',
    callers: ['user'],
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
    const find = () =>
      asUser(parts.db, identity, async (trx) => {
        await getComplaint(trx, place.complaintId, 'read');
        return findAttachment(trx, place);
      });
    const found = await find();
    if (found === undefined) throw new AppError('not_found');
    res.set('etag', entityTag(found.id));
    if (req.fresh) return res.status(304).end();
    const file = await parts.files.open(found.id);
    // The attachment may just have been removed: its row is deleted before its file.
    if (file === undefined) throw new AppError((await find()) === undefined ? 'not_found' : 'attachment_lost');
    setSafeHeaders(res, found, query.disposition);
    // A reader that disconnects early is not an error.
    return pipeline(file, res).catch((error: unknown) => {
      if (!res.destroyed) throw error;
    });
  }),
];

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
