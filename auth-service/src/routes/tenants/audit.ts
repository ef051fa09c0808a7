import { jsonOf, paginate, paginationFields } from '@countersign/service-kit';
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
    user_id: z.string().nullable().describe('The user whom the entry is about.'),
    session_id: z.string().nullable(),
    request_id: z.string(),
    detail: z.record(z.string(), z.unknown()),
    hash: z.string().describe('SHA-256 hash of the previous hash and this entry, in hex.'),
  })
  .meta({ id: 'AuditEntry' });

/** The largest value of the `seq` column. */
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
    summary: "Read your tenant's audit log",
    description: 'Lists the newest entries first. Requires the `admin` role.',
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
    const { rows, nextCursor } = paginate(found, limit, ({ seq }) => String(seq));
    reply(200, { items: rows.map(toJson), next_cursor: nextCursor });
  }),
];

const toJson = (entry: StoredEntry) =>
  jsonOf(auditEntry, { ...entry, detail: JSON.parse(entry.detail), hash: Buffer.from(entry.hash).toString('hex') });
