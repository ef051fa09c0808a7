import { userOf } from '@countersign/identity/express';
import type { RequestHandler } from 'express';
import { addToLog } from '../http/request-log.ts';

/**
 * For paths that only users reach: says in the log who asked, and keeps the answer theirs. Stands behind
 * `requireIdentity('user')`.
 */
export const describeCaller: RequestHandler = (req, res, next) => {
  const { tenantId, userId, role } = userOf(req);
  addToLog(res, { tenant_id: tenantId, user_id: userId, role });
  // One path answers each person differently: no cache may give it to the next without asking.
  res.set('cache-control', 'private, no-cache');
  next();
};
