import type { Identity } from '@countersign/identity';
import { addToLog, type RequestLocals } from '@countersign/process-kit';
import type { RequestHandler } from 'express';
import { validate as isUuid } from 'uuid';

/** Adopts the gateway's request id. Mount this after the identity check: before it, anyone could set the header. */
export const adoptRequestId: RequestHandler = (req, res, next) => {
  const id = req.headers['x-request-id'];
  if (typeof id === 'string' && isUuid(id)) {
    (res.locals as RequestLocals).requestId = id;
    res.setHeader('x-request-id', id);
  }
  next();
};

/** Logs the caller, and keeps the response out of shared caches. Mount this after `requireIdentity`. */
export const describeCaller: RequestHandler = (req, res, next) => {
  addToLog(res, callerFields(req.identity));
  // Each user gets a different response at the same path, so caches must not share it.
  res.set('cache-control', 'private, no-cache');
  next();
};

function callerFields(identity: Identity): Record<string, unknown> {
  const actor = identity.context.act && { actor: identity.context.act.sub };
  if (identity.kind === 'user')
    return { tenant_id: identity.tenantId, user_id: identity.userId, role: identity.role, ...actor };
  if (identity.kind === 'client') return { tenant_id: identity.tenantId, client_id: identity.clientId, ...actor };
  throw new Error(`the identity is a ${identity.kind}, not a user or an OAuth client`);
}
