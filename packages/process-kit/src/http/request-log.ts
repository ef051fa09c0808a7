import type { NextFunction, Request, Response } from 'express';
import { v7 as uuidv7 } from 'uuid';
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

/** Gives the request an id until the gateway's is adopted, and writes a log line when it ends or is aborted. */
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
