import { requireRole, userOf } from '@countersign/identity/express';
import { assertIfMatch, createRouter, jsonBody } from '@countersign/service-kit';
import type { Router } from 'express';
import { staffRoles } from '../domain/access.ts';
import { mayBeAssigned } from '../domain/workflow.ts';
import { AppError } from '../errors.ts';
import { changeComplaint } from '../store/complaints.ts';
import { addHistory } from '../store/history.ts';
import { inTenant } from '../store/in-tenant.ts';
import { assignment } from './fields.ts';
import { sendComplaint } from './json.ts';
import { reachComplaint } from './reach-complaint.ts';
import type { RouteParts } from './route-parts.ts';

/** The route that assigns a complaint to an agent. */
export function assignRoutes({ db, newId, now, assignees }: RouteParts): Router {
  const router = createRouter();

  router.post('/v1/complaints/:id/assign', requireRole(...staffRoles), async (req, res) => {
    const user = userOf(req);
    const id = String(req.params.id);
    const { assignee_id: assigneeId } = assignment.parse(jsonBody(req));
    // Check the complaint first. Otherwise the answer would reveal whether any id is an agent.
    await inTenant(db, user.tenantId, (trx) => reachComplaint(trx, user, id, 'read'));
    if (!(await assignees(user, assigneeId))) throw new AppError('unknown_assignee');
    const complaint = await inTenant(db, user.tenantId, async (trx) => {
      const current = await reachComplaint(trx, user, id, 'change');
      if (!mayBeAssigned(current)) throw new AppError('complaint_locked');
      assertIfMatch(req, current.revision);
      if (current.assignee_id === assigneeId) return current;
      const at = now();
      const assigned = await changeComplaint(trx, current, { assignee_id: assigneeId }, { revision: newId(), at });
      const detail = { from: current.assignee_id, to: assigneeId };
      await addHistory(trx, assigned, { id: newId(), at, actor: user, event: { action: 'assigned', detail } });
      return assigned;
    });
    sendComplaint(res, complaint);
  });

  return router;
}
