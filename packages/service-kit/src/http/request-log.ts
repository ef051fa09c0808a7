import type { Identity } from '@countersign/identity';
import type { NextFunction, Request, RequestHandler, Response } from 'express';
import { validate as isUuid, v7 as uuidv7 } from 'uuid';
import type { Logger } from '../process/logger.ts';

/** The data for a request's log line. Handlers add fields with {@link addToLog}. */
export type RequestLocals = {
  requestId: string;
  log: Record<string, unknown>;
};

/** Returns the request id, for a problem body or a log line. */
export function requestIdOf(res: Response): string {
  return (res.locals as RequestLocals).requestId;
}

/** Adds fields to the request's log line. They must not contain a secret. */
export function addToLog(res: Response, fields: Record<string, unknown>): void {
  Object.assign((res.locals as RequestLocals).log, fields);
}

/** Orchestrators request these every second, so they are logged only at debug level. */
const probes: ReadonlySet<string> = new Set(['/healthz', '/readyz', '/metrics']);

/**
 * Gives the request an id, and writes a log line when the request ends or is aborted. {@link adoptRequestId} later
 * replaces the id with the gateway's.
 */
export function requestLog(logger: Logger) {
  return (req: Request, res: Response, next: NextFunction): void => {
    const startedAt = performance.now();
    const locals = res.locals as RequestLocals;
    const path = req.path;
    locals.requestId = uuidv7();
    locals.log = {};
    res.setHeader('x-request-id', locals.requestId);
    res.once('close', () => {
      const line = {
        request_id: locals.requestId,
        method: req.method,
        path,
        // 0 if the caller left before the response started. `statusCode` would then be Node's default.
        status: res.headersSent ? res.statusCode : 0,
        duration_ms: Math.round((performance.now() - startedAt) * 100) / 100,
        ...(res.writableFinished ? {} : { aborted: true }),
        ...locals.log,
      };
      if (probes.has(path)) logger.debug(line, 'request');
      else if (res.statusCode >= 500 || locals.log.fault === 'ours') logger.error(line, 'request');
      else logger.info(line, 'request');
    });
    next();
  };
}

/**
 * Adopts the gateway's request id, so that one id appears in all logs. Mount this after the identity middleware: before
 * that, anyone could have set the header.
 */
export const adoptRequestId: RequestHandler = (req, res, next) => {
  const id = req.headers['x-request-id'];
  if (typeof id === 'string' && isUuid(id)) {
    (res.locals as RequestLocals).requestId = id;
    res.setHeader('x-request-id', id);
  }
  next();
};

/**
 * Adds the user or OAuth client, the tenant and the actor to the log line, and keeps the response out of shared caches.
 * Mount this after `requireIdentity`.
 */
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
