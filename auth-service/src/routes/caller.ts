import type { Identity } from '@countersign/identity';
import { requestIdOf } from '@countersign/service-kit';
import type { Request, Response } from 'express';
import type { Caller } from '../flows/grant.ts';

const maxUserAgentLength = 256;

/** What a request says besides its body; all but the user agent is signed by the gateway. */
export function callerOf(req: Request, res: Response, identity: Identity): Caller {
  return {
    requestId: requestIdOf(res),
    ip: identity.context.ip ?? null,
    userAgent: req.get('user-agent')?.slice(0, maxUserAgentLength) ?? null,
    jkt: identity.context.jkt ?? null,
  };
}
