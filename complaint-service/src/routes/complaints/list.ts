import { paginate, paginationFields } from '@countersign/service-kit';
import { z } from 'zod';
import { decodePosition, encodePosition, orders, positionOf } from '../../domain/search/list-order.ts';
import { findComplaints } from '../../flows/complaints/list-complaints.ts';
import { listOfItems } from '../fields.ts';
import { route } from '../route.ts';
import { complaint, complaintsJson, readerOf } from './complaint-json.ts';
import { filterFields } from './list-filters.ts';

const listQuery = z
  .strictObject({
    ...filterFields,
    sort: z
      .enum(orders)
      .default('newest')
      .describe('`due` lists only complaints with a running clock, starting with the earliest due date.'),
    ...paginationFields({ maxLength: 200, decode: decodePosition }),
  })
  .refine(({ cursor, sort }) => cursor === undefined || cursor.order === sort, {
    path: ['cursor'],
    message: 'is not a cursor for this order',
  });

export const listRoutes = [
  route({
    method: 'get',
    path: '/v1/complaints',
    operationId: 'listComplaints',
    tag: 'Complaints',
    summary: 'Find complaints',
    description:
      'Complainants find their own complaints. Agents, admins, and OAuth clients with the scope `complaints.read` find all complaints in their tenant.',
    callers: ['user', 'client'],
    query: listQuery,
    responses: { 200: listOfItems(complaint) },
    errors: ['insufficient_role', 'insufficient_scope'],
  }).handle(async ({ identity, query, reply }, parts) => {
    const reader = readerOf(identity);
    const { sort: order, cursor: after, limit, ...filter } = query;
    const found = await findComplaints(parts, reader, { ...filter, order, after, limit: limit + 1 });
    const { rows, nextCursor } = paginate(found, limit, (row) => encodePosition(positionOf(order, row)));
    reply(200, { items: await complaintsJson(parts, reader, rows), next_cursor: nextCursor });
  }),
];
