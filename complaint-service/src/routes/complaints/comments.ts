import { jsonOf, paginate, textField } from '@countersign/service-kit';
import { z } from 'zod';
import { commentOnComplaint } from '../../flows/complaints/comment-on-complaint.ts';
import { getComplaint } from '../../flows/complaints/get-complaint.ts';
import { createOnce } from '../../flows/create-once.ts';
import { listComments } from '../../store/complaints/comments.ts';
import type { Comment } from '../../store/schema/complaints.ts';
import { asUser } from '../../store/scope.ts';
import { complaintPath, creationHeaders, listOfItems, paginationQuery, time } from '../fields.ts';
import { route } from '../route.ts';
import { displayName } from './complaint-json.ts';

const comment = z
  .object({
    id: z.uuid(),
    complaint_id: z.uuid(),
    author_id: z.string(),
    author_name: displayName,
    author_role: z.string(),
    body: z.string(),
    internal: z.boolean().describe('Whether only agents and admins can see it.'),
    created_at: time,
  })
  .meta({ id: 'Comment' });

export const commentRoutes = [
  route({
    method: 'post',
    path: '/v1/complaints/:id/comments',
    operationId: 'commentOnComplaint',
    tag: 'Comments',
    summary: 'Comment on a complaint, or add an internal note',
    callers: ['user'],
    params: complaintPath,
    headers: creationHeaders,
    body: z
      .strictObject({ body: textField(5_000), internal: z.boolean().default(false) })
      .meta({ examples: [{ body: 'A crew will come tomorrow morning.', internal: false }] }),
    responses: { 201: comment },
    errors: ['insufficient_role', 'complaint_locked', 'idempotency_key_reused'],
  }).handle(async ({ identity, params, headers, body, reply }, parts) => {
    const names = await parts.people.namesOf(identity, [identity.userId]);
    const remark = { id: params.id, ...body };
    const request = { key: headers['idempotency-key'], request: ['comment', remark] };
    const added = await asUser(parts.db, identity, (trx) =>
      createOnce(trx, parts, identity, request, async () => {
        const row = await commentOnComplaint(trx, parts, identity, remark);
        return { complaintId: row.complaint_id, answer: commentJson(row, names) };
      }),
    );
    reply(201, added);
  }),

  route({
    method: 'get',
    path: '/v1/complaints/:id/comments',
    operationId: 'listComments',
    tag: 'Comments',
    summary: "List a complaint's comments, oldest first",
    callers: ['user'],
    params: complaintPath,
    query: paginationQuery,
    responses: { 200: listOfItems(comment) },
    errors: ['insufficient_role'],
  }).handle(async ({ identity, params, query, reply }, parts) => {
    const { cursor, limit } = query;
    const found = await asUser(parts.db, identity, async (trx) => {
      const { id } = await getComplaint(trx, params.id, 'read');
      return listComments(trx, id, { after: cursor, limit: limit + 1 });
    });
    const { rows, nextCursor } = paginate(found, limit, ({ id }) => id);
    const authors = rows.map((row) => row.author_id);
    const names = await parts.people.namesOf(identity, authors);
    reply(200, { items: rows.map((row) => commentJson(row, names)), next_cursor: nextCursor });
  }),
];

const commentJson = (row: Comment, names: ReadonlyMap<string, string>) =>
  jsonOf(comment, { ...row, author_name: names.get(row.author_id) ?? null });
