import { createRouter, serve } from '@countersign/service-kit';
import type { Router } from 'express';
import { z } from 'zod';
import { staffRoles } from '../../domain/access.ts';
import { assignComplaint, unassignComplaint } from '../../flows/complaints/assign-complaint.ts';
import type { FlowParts } from '../../flows/parts.ts';
import { endpoint } from '../endpoint.ts';
import { complaintPath, ifMatch, reason, userId } from '../fields.ts';
import { complaint, sendComplaint } from './complaint-json.ts';
import { assertIfMatch } from './precondition.ts';

export const assignComplaintEndpoint = endpoint({
  method: 'post',
  path: '/v1/complaints/:id/assign',
  operationId: 'assignComplaint',
  tag: 'Work',
  summary: 'Give a complaint to an agent',
  callers: ['user'],
  roles: staffRoles,
  params: complaintPath,
  headers: ifMatch,
  body: z.strictObject({ assignee_id: userId }),
  responses: { 200: complaint },
  errors: ['unknown_assignee', 'complaint_locked', 'precondition_failed', 'people_unavailable'],
});

export const unassignComplaintEndpoint = endpoint({
  method: 'post',
  path: '/v1/complaints/:id/unassign',
  operationId: 'unassignComplaint',
  tag: 'Work',
  summary: 'Return a complaint to the queue',
  callers: ['user'],
  roles: staffRoles,
  params: complaintPath,
  headers: ifMatch,
  body: z.strictObject({ reason: reason.optional() }),
  responses: { 200: complaint },
  errors: ['complaint_locked', 'precondition_failed'],
});

/** Routes that give complaints to agents, and take them back. */
export function assignRoutes(parts: FlowParts): Router {
  const router = createRouter();

  serve(router, assignComplaintEndpoint, async (call) => {
    const { req, identity, params, body } = call;
    const wanted = { id: params.id, assigneeId: body.assignee_id, assertCurrent: assertIfMatch(req) };
    await sendComplaint(parts, call, await assignComplaint(parts, identity, wanted));
  });

  serve(router, unassignComplaintEndpoint, async (call) => {
    const { req, identity, params, body } = call;
    const wanted = { id: params.id, reason: body.reason, assertCurrent: assertIfMatch(req) };
    await sendComplaint(parts, call, await unassignComplaint(parts, identity, wanted));
  });

  return router;
}
