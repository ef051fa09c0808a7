import { createRouter, idField, pageFields, pageOf, serve } from '@countersign/service-kit';
import type { Router } from 'express';
import { z } from 'zod';
import { priorityRank } from '../../domain/complaints/priority.ts';
import { type Status, statuses } from '../../domain/complaints/workflow.ts';
import { decodePosition, encodePosition, orders, positionOf } from '../../domain/search/list-order.ts';
import { queryTerms } from '../../domain/search/terms.ts';
import { findComplaints, type Wanted } from '../../flows/complaints/list-complaints.ts';
import type { FlowParts } from '../../flows/parts.ts';
import { endpoint } from '../endpoint.ts';
import { pageOfItems } from '../fields.ts';
import { complaint, complaintsJson, priority } from './complaint-json.ts';

const flag = z
  .enum(['true', 'false'])
  .transform((text) => text === 'true')
  .meta({ type: 'boolean', enum: undefined });
const instant = z.iso.datetime({ offset: true }).transform((text) => new Date(text));

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
  .describe(`One or more, separated by commas: ${statuses.join(', ')}.`);

/** Unknown parameters are ignored; repeated ones are refused. */
const listQuery = z
  .object({
    status: statusList.optional(),
    mine: flag.optional().describe('For agents and admins: assigned to them. For complainants: their own.'),
    unassigned: flag.optional().describe('Active complaints without an assignee.'),
    assignee: idField.optional(),
    category: z.string().min(1).max(50).optional().describe('The id or the name of a category.'),
    team: z.uuid().optional(),
    priority: priority.optional(),
    overdue: flag.optional().describe('Complaints with a running clock that has passed its target.'),
    from: instant.optional().describe('Filed at this time or later.'),
    before: instant.optional().describe('Filed before this time.'),
    q: z
      .string()
      .min(1)
      .max(200)
      .transform(queryTerms)
      .optional()
      .describe('Words of the title and the description; each may be the beginning of one.'),
    sort: z
      .enum(orders)
      .default('newest')
      .describe('`due` lists only complaints whose clock runs, the one that is due first at the top.'),
    ...pageFields({ maxLength: 200, decode: decodePosition }),
  })
  .refine(({ cursor, sort }) => cursor === undefined || cursor.order === sort, {
    path: ['cursor'],
    message: 'is not a cursor of this order',
  });

export const listComplaintsEndpoint = endpoint({
  method: 'get',
  path: '/v1/complaints',
  operationId: 'listComplaints',
  tag: 'Complaints',
  summary: 'Find complaints',
  description: 'Complainants find their own complaints, agents and admins all of their tenant.',
  callers: ['user'],
  query: listQuery,
  responses: { 200: pageOfItems(complaint) },
  errors: ['insufficient_role'],
});

/** The route that lists, filters and searches complaints. */
export function listRoutes(parts: FlowParts): Router {
  const router = createRouter();
  serve(router, listComplaintsEndpoint, async ({ identity, query, reply }) => {
    const found = await findComplaints(parts, identity, { ...wantedOf(query), limit: query.limit + 1 });
    const { rows, nextCursor } = pageOf(found, query.limit, (row) => encodePosition(positionOf(query.sort, row)));
    reply(200, { items: await complaintsJson(parts, identity, rows), next_cursor: nextCursor });
  });
  return router;
}

/** `false` is the same as a missing parameter. */
function wantedOf(query: z.output<typeof listQuery>): Wanted {
  const { status, assignee, team, priority: name, q, sort, cursor, limit, ...rest } = query;
  return {
    ...rest,
    statuses: status,
    assigneeId: assignee,
    teamId: team,
    priority: name === undefined ? undefined : priorityRank(name),
    words: q,
    order: sort,
    after: cursor,
    limit,
  };
}
