import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  idField,
  lineField,
  namedObject,
  paginate,
  paginationFields,
  wholeNumberField,
} from '@countersign/service-kit';
import { z } from 'zod';
import { staffRoles } from '../../domain/access.ts';
import { priorityRank } from '../../domain/complaints/described.ts';
import { activeStatuses, type Status, statuses } from '../../domain/complaints/workflow.ts';
import { decodePosition, encodePosition, isStoredTime, orders, positionOf } from '../../domain/search/list-order.ts';
import { queryTerms } from '../../domain/search/terms.ts';
import { ageClasses, timeBoundsSec } from '../../domain/statistics.ts';
import { exportComplaints, findComplaints, maxTotal } from '../../flows/complaints/list-complaints.ts';
import { asUser } from '../../store/schema.ts';
import { readByAge, readByStatus, readTimes, type StatusCount, type TimesOfMonth } from '../../store/statistics.ts';
import { listOfItems, route, uuidField } from '../route.ts';
import { complaint, complaintsJson, priority, readerOf, status } from './complaint-json.ts';

const flag = z
  .enum(['true', 'false'])
  .transform((text) => text === 'true')
  .meta({ type: 'boolean', enum: undefined });
const instant = z.iso
  .datetime({ offset: true })
  .transform((text) => new Date(text))
  .refine((at) => isStoredTime(at.getTime()), 'must be a year from 1 to 9999');

const isStatus = (text: string): text is Status => (statuses as readonly string[]).includes(text);

const statusList = z
  .string()
  .max(200)
  .transform((text, context) => {
    const wanted = text.split(',');
    if (wanted.every(isStatus)) return wanted;
    context.addIssue({ code: 'custom', message: `must be one or more of ${statuses.join(', ')}` });
    return z.NEVER;
  })
  .describe(`One or more of ${statuses.join(', ')}, separated by commas.`);

/** Query parameters that select complaints, for the list and the export. */
const filterFields = {
  status: statusList.optional(),
  mine: flag
    .optional()
    .describe('Complaints assigned to you, if you are an agent or admin. Otherwise your own complaints.'),
  unassigned: flag.optional().describe('Active complaints without an assignee.'),
  assignee: idField.optional(),
  category: lineField(50).optional().describe('A category id or name.'),
  team: uuidField.optional(),
  priority: priority.transform(priorityRank).optional(),
  overdue: flag.optional().describe('Complaints with a running clock that has passed its target.'),
  from: instant.optional().describe('Complaints filed at this time or later.'),
  before: instant.optional().describe('Complaints filed before this time.'),
  q: z
    .string()
    .min(1)
    .max(200)
    .transform(queryTerms)
    .optional()
    .describe(
      'Words or word prefixes in the number, title, address and description, and, except for OAuth clients, in the name and contact of the person.',
    ),
};

const listQuery = z
  .strictObject({
    ...filterFields,
    sort: z
      .enum(orders)
      .default('newest')
      .describe('`due` lists only complaints with a running clock, starting with the earliest due date.'),
    total: flag.optional().describe('Whether to count the complaints on all pages.'),
    ...paginationFields({ maxLength: 200, decode: decodePosition }),
  })
  .refine(({ cursor, sort }) => cursor === undefined || cursor.order === sort, {
    path: ['cursor'],
    message: 'is not a cursor for this order',
  });

const count = z.int();

const times = namedObject('TimesOfMonth', {
  month: z.iso.date().describe('The first day of the month (UTC) in which the clocks stopped.'),
  complaints: count,
  mean_seconds: z.int(),
  with_target: count.describe('How many complaints had a target.'),
  on_time: count.describe('How many of these complaints met their target.'),
  classes: z.array(z.object({ from_seconds: z.int(), to_seconds: z.int().nullable(), complaints: count })),
});

const statistics = namedObject('Statistics', {
  complaints: count,
  active: count,
  by_status: z.array(z.object({ status, complaints: count })),
  by_category: z.array(z.object({ category_id: z.uuid(), category: z.string(), complaints: count, active: count })),
  by_age: z
    .array(z.object({ from_days: z.int(), to_days: z.int().nullable(), complaints: count }))
    .describe('Active complaints by days since they were filed.'),
  first_answer: z.array(times).describe('Times from the filing to the first answer.'),
  resolution: z.array(times).describe('Times from the filing, or the last reopening, to each resolution.'),
});

export const queryRoutes = [
  route('GET /v1/complaints', {
    operationId: 'listComplaints',
    tag: 'Complaints',
    summary: 'Find complaints',
    description:
      'Complainants find their own complaints. Agents, admins, and OAuth clients with the scope `complaints.read` find all complaints in their tenant.',
    callers: ['user', 'client'],
    query: listQuery,
    responses: {
      200: listOfItems(complaint).extend({
        total: count.optional().describe(`Only with \`total=true\`. ${maxTotal} means as many or more.`),
      }),
    },
    errors: ['insufficient_role', 'insufficient_scope'],
  }).handle(async ({ identity, query, reply }, parts) => {
    const reader = readerOf(identity);
    const { sort: order, cursor: after, limit, ...filter } = query;
    const found = await findComplaints(parts, reader, { ...filter, order, after, limit: limit + 1 });
    const { rows, nextCursor } = paginate(found.rows, limit, (row) => encodePosition(positionOf(order, row)));
    const items = await complaintsJson(parts, reader, rows);
    reply(200, { items, next_cursor: nextCursor, ...(found.total !== undefined && { total: found.total }) });
  }),
  route('GET /v1/complaints/export', {
    operationId: 'exportComplaints',
    tag: 'Complaints',
    summary: 'Export complaints as CSV, newest first',
    description:
      'The file is UTF-8 CSV (RFC 4180) with a header row. Accepts the same filters as the list. If a spreadsheet would treat a cell as a formula, the cell begins with an apostrophe. If an export fails halfway, the response ends without its last chunk.',
    callers: ['user'],
    roles: staffRoles,
    query: z.strictObject(filterFields),
    responses: {
      200: {
        schema: z.string(),
        mediaType: 'text/csv',
        headers: { 'content-disposition': 'A file name with the date.' },
      },
    },
  }).handle(async ({ req, res, identity, query }, parts) => {
    const described = {
      'content-type': 'text/csv; charset=utf-8; header=present',
      'content-disposition': `attachment; filename="complaints-${parts.now().toISOString().slice(0, 10)}.csv"`,
      'x-content-type-options': 'nosniff',
    };
    // Without this, the headers would wait until everything has been read.
    if (req.method === 'HEAD') return res.set(described).end();
    const rows = exportComplaints(parts, identity, query);
    // Reads the first part before sending headers, so that a failure still gets an error response.
    const head = await rows.next();
    const first = await rows.next();
    res.set(described);
    async function* whole() {
      yield* [head.value, first.value].filter((part) => part !== undefined);
      yield* rows;
    }
    return pipeline(Readable.from(whole()), res).catch((error: unknown) => {
      // Without the last chunk, the reader can tell that the file is incomplete.
      if (!res.destroyed) res.destroy();
      if ((error as { code?: string }).code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error;
    });
  }),
  // Every change to a complaint updates the statistics in its own transaction.
  route('GET /v1/complaints/statistics', {
    operationId: 'readStatistics',
    tag: 'Statistics',
    summary: "Read the tenant's statistics",
    callers: ['user'],
    roles: staffRoles,
    query: z.strictObject({
      months: wholeNumberField({ min: 1, max: 120 })
        .default(12)
        .describe('How many months of response times to report.'),
    }),
    responses: { 200: statistics },
  }).handle(async ({ identity, query, reply }, { db, now }) => {
    const at = now();
    const from = new Date(Date.UTC(at.getUTCFullYear(), at.getUTCMonth() - query.months + 1))
      .toISOString()
      .slice(0, 10);
    const { byStatus, byAge, ended } = await asUser(db, identity, async (trx) => ({
      byStatus: await readByStatus(trx),
      byAge: await readByAge(trx),
      ended: await readTimes(trx, from),
    }));
    const sum = (rows: readonly StatusCount[]) => rows.reduce((total, { complaints }) => total + complaints, 0);
    const active = (rows: readonly StatusCount[]) => sum(rows.filter((row) => activeStatuses.includes(row.status)));
    reply(200, {
      complaints: sum(byStatus),
      active: active(byStatus),
      by_status: [...Map.groupBy(byStatus, (row) => row.status)].map(([status, rows]) => ({
        status,
        complaints: sum(rows),
      })),
      by_category: [...Map.groupBy(byStatus, (row) => row.category_id)].map(([category_id, rows]) => ({
        category_id,
        category: rows[0]?.category ?? '',
        complaints: sum(rows),
        active: active(rows),
      })),
      by_age: ageClasses(byAge, at),
      first_answer: timesOf(ended, 'first_answer'),
      resolution: timesOf(ended, 'resolution'),
    });
  }),
];

function timesOf(rows: readonly TimesOfMonth[], measure: TimesOfMonth['measure']): z.output<typeof times>[] {
  const months = Map.groupBy(
    rows.filter((row) => row.measure === measure),
    (row) => row.month,
  );
  return [...months].map(([month, ofMonth]) => {
    const sum = (of: 'complaints' | 'seconds' | 'with_target' | 'on_time') =>
      ofMonth.reduce((total, row) => total + row[of], 0);
    return {
      month,
      complaints: sum('complaints'),
      mean_seconds: Math.round(sum('seconds') / Math.max(1, sum('complaints'))),
      with_target: sum('with_target'),
      on_time: sum('on_time'),
      classes: [0, ...timeBoundsSec].map((from, bucket) => ({
        from_seconds: from,
        to_seconds: timeBoundsSec[bucket] ?? null,
        complaints: ofMonth.find((row) => row.bucket === bucket)?.complaints ?? 0,
      })),
    };
  });
}
