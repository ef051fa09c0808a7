import type { UserIdentity } from '@countersign/identity';
import { paginate } from '@countersign/service-kit';
import { z } from 'zod';
import { isStaff } from '../../domain/access.ts';
import { getComplaint } from '../../flows/complaints/get-complaint.ts';
import { listHistory } from '../../store/complaints/history.ts';
import type { HistoryEntry } from '../../store/schema/complaints.ts';
import { asUser } from '../../store/scope.ts';
import { complaintPath, listOfItems, paginationQuery, time } from '../fields.ts';
import { route } from '../route.ts';
import { displayName } from './complaint-json.ts';

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

export const historyRoutes = [
  route({
    method: 'get',
    path: '/v1/complaints/:id/history',
    operationId: 'listHistory',
    tag: 'Complaints',
    summary: 'List the changes to a complaint, oldest first',
    callers: ['user'],
    params: complaintPath,
    query: paginationQuery,
    responses: { 200: listOfItems(entry) },
    errors: ['insufficient_role'],
  }).handle(async ({ identity, params, query, reply }, parts) => {
    const { cursor, limit } = query;
    const found = await asUser(parts.db, identity, async (trx) => {
      const { id } = await getComplaint(trx, params.id, 'read');
      return listHistory(trx, id, { after: cursor, limit: limit + 1 });
    });
    const { rows, nextCursor } = paginate(found, limit, ({ id }) => id);
    const actors = rows.map((row) => row.actor_id);
    const names = await parts.people.namesOf(identity, actors);
    reply(200, { items: rows.map((row) => historyJson(row, identity, names)), next_cursor: nextCursor });
  }),
];

function historyJson(
  row: HistoryEntry,
  caller: UserIdentity,
  names: ReadonlyMap<string, string>,
): z.output<typeof entry> {
  const { duplicate_of, reason, ...detail } = row.detail as Readonly<Record<string, unknown>>;
  return {
    id: row.id,
    complaint_id: row.complaint_id,
    actor_id: row.actor_id,
    actor_name: names.get(row.actor_id) ?? null,
    actor_role: row.actor_role,
    action: row.action,
    ...detail,
    // An agent's reason for returning a complaint is internal, because it may mention a person.
    ...((isStaff(caller) || row.action !== 'unassigned') && typeof reason === 'string' && { reason }),
    // Complainants cannot see the other complaint.
    ...(isStaff(caller) && typeof duplicate_of === 'string' && { duplicate_of }),
    created_at: row.created_at.toISOString(),
  };
}
