import type { UserIdentity } from '@countersign/identity';
import { jsonOf, namedObject, paginate, textField } from '@countersign/service-kit';
import { z } from 'zod';
import { isStaff, mayReadInternal } from '../../domain/access.ts';
import type { Names } from '../../domain/people.ts';
import { readOf } from '../../flows/complaints/get-complaint.ts';
import { commentOnComplaint } from '../../flows/complaints/write.ts';
import { createOnce } from '../../flows/create-once.ts';
import type { FlowParts } from '../../flows/parts.ts';
import { listComments, listHistory } from '../../store/complaints/comments-and-history.ts';
import { asUser, type Trx } from '../../store/schema.ts';
import type { Comment, HistoryEntry } from '../../store/tables.ts';
import { complaintPath, creationHeaders, listOfItems, paginationQuery, route, time } from '../route.ts';
import { displayName } from './complaint-json.ts';

const comment = namedObject('Comment', {
  id: z.uuid(),
  complaint_id: z.uuid(),
  author_id: z.string(),
  author_name: displayName,
  author_role: z.string(),
  body: z.string(),
  internal: z.boolean().describe('Whether only agents and admins can see it.'),
  created_at: time,
});

const shared = { tag: 'Comments', callers: ['user'], params: complaintPath } as const;

const commentJson = (row: Comment, names: Names) => jsonOf(comment, { ...row, author_name: names.get(row.author_id) });

const entry = z
  .looseObject({
    id: z.uuid(),
    complaint_id: z.uuid(),
    actor_id: z.string(),
    actor_name: displayName,
    actor_role: z.string(),
    action: z
      .string()
      .describe('`filed`, `edited`, `assigned`, `unassigned` or `moved`. Later releases may add more actions.'),
    fields: z.array(z.string()).optional().describe('For `edited`, the names of the changed fields.'),
    changes: z
      .record(z.string(), z.object({ from: z.unknown(), to: z.unknown() }))
      .optional()
      .describe('For `edited`, the old and new values.'),
    from: z
      .string()
      .nullable()
      .optional()
      .describe('For `assigned` and `unassigned`, an agent. For `moved`, a status.'),
    to: z.string().nullable().optional(),
    status: z
      .object({ from: z.string(), to: z.string() })
      .optional()
      .describe('For `assigned` and `unassigned`, the resulting status.'),
    team: z
      .object({ from: z.uuid().nullable(), to: z.uuid().nullable() })
      .optional()
      .describe('For `assigned`, the team ids.'),
    reason: z
      .string()
      .optional()
      .describe('For `unassigned`, only agents and admins can see the reason. For `moved`, everyone can.'),
    duplicate_of: z.uuid().optional().describe('Only for agents and admins.'),
    created_at: time,
  })
  .meta({ id: 'HistoryEntry' });

export const commentRoutes = [
  route('POST /v1/complaints/:id/comments', {
    ...shared,
    operationId: 'commentOnComplaint',
    summary: 'Comment on a complaint, or add an internal note',
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

  route('GET /v1/complaints/:id/comments', {
    ...shared,
    operationId: 'listComments',
    summary: "List a complaint's comments, oldest first",
    query: paginationQuery,
    responses: { 200: listOfItems(comment) },
    errors: ['insufficient_role'],
  }).handle(async ({ identity, params, query, reply }, parts) => {
    const { rows, nextCursor } = await readPage(parts, identity, { ...params, ...query }, listComments);
    const authors = rows.map((row) => row.author_id);
    const names = await parts.people.namesOf(identity, authors);
    reply(200, { items: rows.map((row) => commentJson(row, names)), next_cursor: nextCursor });
  }),
  route('GET /v1/complaints/:id/history', {
    ...shared,
    operationId: 'listHistory',
    tag: 'Complaints',
    summary: 'List the changes to a complaint, oldest first',
    query: paginationQuery,
    responses: { 200: listOfItems(entry) },
    errors: ['insufficient_role'],
  }).handle(async ({ identity, params, query, reply }, parts) => {
    const { rows, nextCursor } = await readPage(parts, identity, { ...params, ...query }, listHistory);
    const actors = rows.map((row) => row.actor_id);
    const names = await parts.people.namesOf(identity, actors);
    reply(200, { items: rows.map((row) => historyJson(row, identity, names)), next_cursor: nextCursor });
  }),
];

type Page = Readonly<{ after: string | undefined; limit: number }>;

async function readPage<Row extends Readonly<{ id: string }>>(
  { db }: FlowParts,
  user: UserIdentity,
  { id, cursor, limit }: Readonly<{ id: string; cursor?: string | undefined; limit: number }>,
  list: (trx: Trx, id: string, page: Page) => Promise<Row[]>,
) {
  const found = await readOf(db, user, id, (trx) => list(trx, id, { after: cursor, limit: limit + 1 }));
  return paginate(found, limit, (row) => row.id);
}

function historyJson(row: HistoryEntry, caller: UserIdentity, names: Names): z.output<typeof entry> {
  const { duplicate_of, reason, ...detail } = row.detail as Readonly<Record<string, unknown>>;
  return {
    id: row.id,
    complaint_id: row.complaint_id,
    actor_id: row.actor_id,
    actor_name: names.get(row.actor_id),
    actor_role: row.actor_role,
    action: row.action,
    ...detail,
    // An agent's reason for returning a complaint is internal, because it may mention a person.
    ...((mayReadInternal(caller) || row.action !== 'unassigned') && typeof reason === 'string' && { reason }),
    // Complainants cannot see the other complaint.
    ...(isStaff(caller) && typeof duplicate_of === 'string' && { duplicate_of }),
    created_at: row.created_at.toISOString(),
  };
}
