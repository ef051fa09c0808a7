import { remove } from '@countersign/database';
import { assertIfMatch, idField } from '@countersign/service-kit';
import { z } from 'zod';
import { staffRoles } from '../../domain/access.ts';
import { statusesWithReason } from '../../domain/complaints/workflow.ts';
import { getComplaint, readOf } from '../../flows/complaints/get-complaint.ts';
import { assignComplaint, moveComplaint, unassignComplaint } from '../../flows/complaints/work.ts';
import { addWatcher, listWatchers } from '../../store/complaints/complaints.ts';
import { asUser } from '../../store/schema.ts';
import { complaintPath, ifMatch, reason, route, uuidField } from '../route.ts';
import { complaint, displayName, sendComplaint, status } from './complaint-json.ts';

const shared = {
  tag: 'Work',
  callers: ['user'],
  params: complaintPath,
  headers: ifMatch,
  responses: { 200: complaint },
} as const;

const assignment = z
  .strictObject({
    assignee_id: idField.optional().describe('An active agent in the tenant.'),
    team_id: uuidField.nullable().optional().describe('Null removes the complaint from its team.'),
  })
  .refine((body) => body.assignee_id !== undefined || body.team_id !== undefined, {
    path: ['assignee_id'],
    message: 'or team_id is required',
  })
  .meta({ examples: [{ assignee_id: '01936f00-0000-7000-8000-000000000012' }] });

const transition = z
  .strictObject({
    to: status,
    reason: reason
      .optional()
      .describe('Required except for `in_progress` and `closed`. For `resolved`, the answer to the complainant.'),
    duplicate_of: uuidField.optional().describe('The original complaint. Required for `duplicate`.'),
  })
  .refine(({ to, reason: why }) => why !== undefined || !statusesWithReason.includes(to), {
    path: ['reason'],
    message: 'is required for this status',
  })
  .refine(({ to, duplicate_of: original }) => (to === 'duplicate') === (original !== undefined), {
    path: ['duplicate_of'],
    message: 'is required for the status duplicate, and not allowed for other statuses',
  })
  .meta({ examples: [{ to: 'rejected', reason: 'The road belongs to the county.' }] });

const watching = {
  tag: 'Complaints',
  callers: ['user'],
  params: complaintPath,
  responses: { 204: null },
  errors: ['insufficient_role', 'complaint_locked'],
} as const;

export const workRoutes = [
  route('POST /v1/complaints/:id/assign', {
    ...shared,
    operationId: 'assignComplaint',
    summary: 'Assign a complaint to an agent, a team, or both',
    roles: staffRoles,
    body: assignment,
    errors: ['unknown_assignee', 'unknown_team', 'complaint_locked', 'precondition_failed', 'people_unavailable'],
  }).handle(async (call, parts) => {
    const { req, identity, params, body } = call;
    const given = { assigneeId: body.assignee_id, teamId: body.team_id };
    const wanted = { id: params.id, ...given, assertCurrent: assertIfMatch(req) };
    await sendComplaint(parts, call, await assignComplaint(parts, identity, wanted));
  }),

  route('POST /v1/complaints/:id/unassign', {
    ...shared,
    operationId: 'unassignComplaint',
    summary: 'Return a complaint to the queue',
    roles: staffRoles,
    body: z.strictObject({ reason: reason.optional().meta({ examples: ['On leave until March.'] }) }),
    errors: ['complaint_locked', 'precondition_failed'],
  }).handle(async (call, parts) => {
    const { req, identity, params, body } = call;
    const wanted = { id: params.id, reason: body.reason, assertCurrent: assertIfMatch(req) };
    await sendComplaint(parts, call, await unassignComplaint(parts, identity, wanted));
  }),
  route('POST /v1/complaints/:id/transition', {
    ...shared,
    operationId: 'moveComplaint',
    summary: 'Move a complaint to another status',
    description:
      'Agents and admins can use every allowed transition. Complainants can close, reopen and withdraw their own complaints.',
    body: transition,
    errors: ['insufficient_role', 'complaint_locked', 'illegal_transition', 'invalid_duplicate', 'precondition_failed'],
  }).handle(async (call, parts) => {
    const { req, identity, params, body } = call;
    const move = { to: body.to, reason: body.reason, duplicateOf: body.duplicate_of };
    const wanted = { id: params.id, move, assertCurrent: assertIfMatch(req) };
    await sendComplaint(parts, call, await moveComplaint(parts, identity, wanted));
  }),
  // The complainant and assignees watch a complaint automatically.
  route('PUT /v1/complaints/:id/watching', {
    ...watching,
    operationId: 'watchComplaint',
    summary: 'Watch a complaint',
  }).handle(async ({ identity, params, reply }, parts) => {
    await asUser(parts.db, identity, async (trx) => {
      await addWatcher(trx, await getComplaint(trx, params.id, 'change'), identity.userId, parts.now());
    });
    reply(204);
  }),

  route('DELETE /v1/complaints/:id/watching', {
    ...watching,
    operationId: 'unwatchComplaint',
    summary: 'Stop watching a complaint',
  }).handle(async ({ identity, params, reply }, parts) => {
    await asUser(parts.db, identity, async (trx) => {
      await getComplaint(trx, params.id, 'change');
      await remove(trx, 'watchers', { complaint_id: params.id, user_id: identity.userId });
    });
    reply(204);
  }),

  route('GET /v1/complaints/:id/watchers', {
    operationId: 'listWatchers',
    tag: 'Complaints',
    summary: "List a complaint's watchers",
    callers: ['user'],
    params: complaintPath,
    responses: { 200: z.object({ items: z.array(z.object({ user_id: z.string(), name: displayName })) }) },
    errors: ['insufficient_role'],
  }).handle(async ({ identity, params, reply }, parts) => {
    const ids = await readOf(parts.db, identity, params.id, (trx) => listWatchers(trx, params.id));
    const names = await parts.people.namesOf(identity, ids);
    reply(200, { items: ids.map((id) => ({ user_id: id, name: names.get(id) })) });
  }),
];
