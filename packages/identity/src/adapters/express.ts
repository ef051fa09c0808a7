import { IncomingMessage } from 'node:http';
import type { Request, RequestHandler, Response } from 'express';
import type { Identity } from '../contract/identity.ts';
import { isExempt } from '../verify/exempt.ts';
import type { Verifier } from '../verify/verify.ts';
import { requestIdOf, send, stripIdentityHeaders, stripResponse, verifyRequest } from './node-request.ts';
import { problemForRefusal } from './problem.ts';
import { isKeySetRequest, publishOn } from './service-key-set.ts';
import { guardsOf, identityOf } from './verified.ts';

declare global {
  namespace Express {
    interface Request {
      /**
       * The caller of this request.
       *
       * @throws Error unless requireIdentity, requireRole, requireScope or allowAnonymous let this request through.
       */
      readonly identity: Identity;
    }
  }
}

// On the prototype, so that reading it throws in an app without verifyIdentity instead of returning undefined.
Object.defineProperty(IncomingMessage.prototype, 'identity', {
  configurable: true,
  get(this: IncomingMessage): Identity {
    return identityOf(this);
  },
});

export type VerifyIdentityOptions = Readonly<{
  verifier: Verifier;
  /** Largest body read into memory to check its digest, in bytes. Default 1 MiB. */
  maxBodyBytes?: number;
  /** Whether this request's body may lack a digest. Decide by method and `originalUrl`, not by headers. */
  stream?: (req: Request) => boolean;
  /** For logs and metrics. */
  onRefused?: (req: Request, res: Response, refusal: { reason: string }) => void;
}>;

/**
 * Refuses every request that the gateway did not sign for this service, except GET and HEAD on `/healthz`, `/readyz`,
 * `/metrics` and `/.well-known/*`. Install it first: before any parser, before routing, and before middleware that
 * rewrites `req.url`. Later parsers read the body as usual. With `agreement`, it also publishes the service's keys.
 */
export function verifyIdentity(options: VerifyIdentityOptions): RequestHandler {
  const { verifier, maxBodyBytes = 1024 * 1024, stream, onRefused } = options;
  const publish = publishAgreementKeys(verifier);

  return (req, res, next) => {
    const { method, originalUrl: target } = req;
    if (isRewritten(req)) {
      next(new Error('install verifyIdentity before middleware that rewrites req.url: it verifies req.originalUrl'));
      return;
    }
    if (isExempt(method, target)) {
      stripIdentityHeaders(req);
      stripResponse(res);
      publish(req, res, next);
      return;
    }
    verifyRequest(req, { verifier, target, isStream: () => stream?.(req) ?? false, maxBodyBytes, response: res })
      .then((refusal) => {
        if (refusal === undefined) {
          stripResponse(res);
          next();
          return;
        }
        onRefused?.(req, res, { reason: refusal.reason });
        send(res, refusal);
      })
      .catch(next);
  };
}

/**
 * Publishes the service's keys for agreement at `/.well-known/jwks.json`. {@link verifyIdentity} does this already.
 * Install it only before a route that serves the service's own key set and that comes before {@link verifyIdentity}.
 * These keys are then appended to that set.
 */
export function publishAgreementKeys({ agreement }: Pick<Verifier, 'agreement'>): RequestHandler {
  return (req, res, next) => {
    if (agreement !== undefined && isKeySetRequest(req.method, req.originalUrl)) publishOn(req, res, agreement);
    next();
  };
}

/** Whether the routed URL differs from the verified one. Express may have removed a mount point, nothing else. */
function isRewritten({ url, baseUrl, originalUrl }: Request): boolean {
  if (baseUrl + url === originalUrl) return false;
  // Express turns `/mount?x` into `/?x` and adds the slash.
  return !((url === '/' || url.startsWith('/?')) && baseUrl + url.slice(1) === originalUrl);
}

export { userOf } from './verified.ts';

export const { requireIdentity, requireRole, requireScope, allowAnonymous } = guardsOf<RequestHandler>(
  (decide) => (req, res, next) => {
    const { refusal } = decide(req);
    if (refusal === undefined) next();
    else send(res, problemForRefusal(refusal, { target: req.originalUrl, requestId: requestIdOf(req, res) }));
  },
);
