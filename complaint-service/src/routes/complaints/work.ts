import { assertIfMatch, idField } from '@countersign/service-kit';
import { z } from 'zod';
import { staffRoles } from '../../domain/access.ts';
import { statusesWithReason } from '../../domain/complaints/workflow.ts';
import { assignComplaint, unassignComplaint } from '../../flows/complaints/assign-complaint.ts';
import { moveComplaint } from '../../flows/complaints/move-complaint.ts';
import { complaintPath, ifMatch, reason, uuidField } from '../fields.ts';
import { route } from '../route.ts';
import { complaint, sendComplaint, status } from './complaint-json.ts';

const shared = {
  method: 'post',
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

export const assignRoutes = [
  route({
    ...shared,
    path: '/v1/complaints/:id/assign',
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

  route({
    ...shared,
    path: '/v1/complaints/:id/unassign',
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
];

const transition = z
  .strictObject({
    to: status,
    reason: reason.optional().describe('Required for `rejected`, `duplicate`, `withdrawn` and `reopened`.'),
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

export const transitionRoutes = [
  route({
    ...shared,
    path: '/v1/complaints/:id/transition',
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
];
