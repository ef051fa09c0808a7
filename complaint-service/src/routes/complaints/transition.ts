import { assertIfMatch } from '@countersign/service-kit';
import { z } from 'zod';
import { statusesWithReason } from '../../domain/complaints/workflow.ts';
import { moveComplaint } from '../../flows/complaints/move-complaint.ts';
import { complaintPath, ifMatch, reason, uuidField } from '../fields.ts';
import { route } from '../route.ts';
import { complaint, sendComplaint, status } from './complaint-json.ts';

const transition = z
  .strictObject({
    to: status,
    reason: reason.optional().describe('Needed for `rejected`, `duplicate`, `withdrawn` and `reopened`.'),
    duplicate_of: uuidField.optional().describe('Needed for `duplicate`: the complaint that this one repeats.'),
  })
  .refine(({ to, reason: why }) => why !== undefined || !statusesWithReason.includes(to), {
    path: ['reason'],
    message: 'is needed for this status',
  })
  .refine(({ to, duplicate_of: original }) => (to === 'duplicate') === (original !== undefined), {
    path: ['duplicate_of'],
    message: 'goes with the status duplicate',
  })
  .meta({ examples: [{ to: 'rejected', reason: 'The road belongs to the county.' }] });

export const transitionRoutes = [
  route({
    method: 'post',
    path: '/v1/complaints/:id/transition',
    operationId: 'moveComplaint',
    tag: 'Work',
    summary: 'Move a complaint to another status',
    description: 'Agents and admins make every step. Complainants close, reopen and withdraw their own complaints.',
    callers: ['user'],
    params: complaintPath,
    headers: ifMatch,
    body: transition,
    responses: { 200: complaint },
    errors: ['insufficient_role', 'complaint_locked', 'illegal_transition', 'invalid_duplicate', 'precondition_failed'],
  }).handle(async (call, parts) => {
    const { req, identity, params, body } = call;
    const move = { to: body.to, reason: body.reason, duplicateOf: body.duplicate_of };
    const wanted = { id: params.id, move, assertCurrent: assertIfMatch(req) };
    await sendComplaint(parts, call, await moveComplaint(parts, identity, wanted));
  }),
];
