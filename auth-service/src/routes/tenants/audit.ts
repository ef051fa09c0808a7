import { paginate, paginationFields } from '@countersign/service-kit';
import { z } from 'zod';
import { readNewest, type StoredEntry } from '../../store/audit/audit.ts';
import { roles } from '../../store/roles.ts';
import { route } from '../route.ts';
import { adminOf } from './tenant-admin.ts';

const auditEntry = z
  .object({
    seq: z.int().describe('Counts up from 1 in each tenant, without gaps.'),
    at: z.iso.datetime(),
    action: z.string(),
    user_id: z.string().nullable().describe('The user that the entry is about.'),
    session_id: z.string().nullable(),
    request_id: z.string(),
    detail: z.record(z.string(), z.unknown()),
    hash: z.string().describe('SHA-256 of the previous hash and this entry, in hex.'),
  })
  .meta({ id: 'AuditEntry' });

/** The maximum of the `seq` column. */
const lastPlace = 2 ** 31 - 1;

const place = z
  .string()
  .regex(/^[1-9][0-9]{0,9}$/)
  .transform(Number)
  .pipe(z.int().max(lastPlace));

export const auditRoutes = [
  route({
    method: 'get',
    path: '/v1/auth/audit',
    operationId: 'readAudit',
    tag: 'Tenants',
    summary: 'Read the audit log of your tenant',
    description: 'For administrators. Newest first.',
    callers: ['user'],
    query: z.strictObject(paginationFields({ maxLength: 10, decode: (text) => place.safeParse(text).data })),
    responses: { 200: z.object({ items: z.array(auditEntry), next_cursor: z.string().nullable() }) },
    errors: ['insufficient_role'],
  }).handle(async ({ res, identity, query, reply }, { db }) => {
    const { tenantId } = adminOf(identity, res);
    const { cursor: before, limit } = query;
    const found = await db.transaction({ role: roles.app, tenantId }, (trx) =>
      readNewest(trx, tenantId, { before, limit: limit + 1 }),
    );
    const { rows, nextCursor } = paginate(found, limit, ({ entry }) => String(entry.seq));
    reply(200, { items: rows.map(toJson), next_cursor: nextCursor });
  }),
];

const toJson = ({ entry, hash }: StoredEntry): z.infer<typeof auditEntry> => ({
  seq: entry.seq,
  at: entry.at.toISOString(),
  action: entry.action,
  user_id: entry.userId,
  session_id: entry.sessionId,
  request_id: entry.requestId,
  detail: JSON.parse(entry.detail) as Record<string, unknown>,
  hash: hash.toString('hex'),
});
