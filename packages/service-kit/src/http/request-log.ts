import { userOf } from '@countersign/identity/express';
import type { NextFunction, Request, RequestHandler, Response } from 'express';
import { validate as isUuid, v7 as uuidv7 } from 'uuid';
import type { Logger } from '../process/logger.ts';

/** What the one log line of a request is made from; handlers may add fields through `res.locals.log`. */
export type RequestLocals = {
  requestId: string;
  log: Record<string, unknown>;
};

/** The request's id, for a problem body or a log line. */
export function requestIdOf(res: Response): string {
  return (res.locals as RequestLocals).requestId;
}

/** Adds fields to the request's one log line. Never a secret. */
export function addToLog(res: Response, fields: Record<string, unknown>): void {
  Object.assign((res.locals as RequestLocals).log, fields);
}

/** Asked every second by orchestrators: their lines would bury the rest, and not being ready yet is no error. */
const probes: ReadonlySet<string> = new Set(['/healthz', '/readyz', '/metrics']);

/**
 * Gives the request an id and writes one line when it ends, however it ends.
 * The id is ours until a verified identity brings the gateway's ({@link adoptRequestId}).
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
        // Nobody got an answer where the client left before there was one, whatever node's default says.
        status: res.headersSent ? res.statusCode : 0,
        duration_ms: Math.round((performance.now() - startedAt) * 100) / 100,
        ...(res.writableFinished ? {} : { aborted: true }),
        ...locals.log,
      };
      if (probes.has(path)) logger.debug(line, 'request');
      else if (res.statusCode >= 500) logger.error(line, 'request');
      else logger.info(line, 'request');
    });
    next();
  };
}

/**
 * Takes over the request id of a verified identity, so that one id follows the request through every log.
 * Stands behind the identity middleware: before it, the header is anybody's.
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
