import { userOf } from '@countersign/identity/express';
import { assertIfMatch, createRouter, jsonBody } from '@countersign/service-kit';
import type { Router } from 'express';
import { judgeTransition, nextOf, type Status } from '../domain/workflow.ts';
import { AppError } from '../errors.ts';
import { changeComplaint } from '../store/complaints.ts';
import { addHistory } from '../store/history.ts';
import { inTenant } from '../store/in-tenant.ts';
import { transition } from './fields.ts';
import { sendComplaint } from './json.ts';
import { reachComplaint } from './reach-complaint.ts';
import type { RouteParts } from './route-parts.ts';

/** The route that moves a complaint to its next status. */
export function transitionRoutes({ db, newId, now }: RouteParts): Router {
  const router = createRouter();

  router.post('/v1/complaints/:id/transition', async (req, res) => {
    const user = userOf(req);
    const { id } = req.params;
    const { to, reason } = transition.parse(jsonBody(req));
    const complaint = await inTenant(db, user.tenantId, async (trx) => {
      const current = await reachComplaint(trx, user, id, 'change');
      const verdict = judgeTransition(user, current.status, to);
      if (verdict === 'illegal_transition') throw illegalTransition(current.status);
      if (verdict !== 'allowed') throw new AppError(verdict);
      assertIfMatch(req, current.revision);
      const at = now();
      const moved = await changeComplaint(trx, current, { status: to }, { revision: newId(), at });
      const detail = { from: current.status, to, ...(reason !== undefined && { reason }) };
      await addHistory(trx, moved, { id: newId(), at, actor: user, event: { action: 'moved', detail } });
      return moved;
    });
    sendComplaint(res, complaint);
  });

  return router;
}

function illegalTransition(from: Status): Error {
  const next = nextOf[from];
  const message = next === undefined ? `nothing follows ${from}` : `only ${next} follows ${from}`;
  return new AppError('illegal_transition', { errors: [{ path: 'to', message }] });
}
