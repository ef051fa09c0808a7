import { IncomingMessage } from 'node:http';
import type { Request, RequestHandler, Response } from 'express';
import type { Identity, UserIdentity } from '../contract/identity.ts';
import { isExempt } from '../verify/exempt.ts';
import type { Verifier } from '../verify/verify.ts';
import { readAndRestoreBody, requestIdOf, send, stripIdentityHeaders } from './node-request.ts';
import { problemForError, problemForRefusal } from './problem.ts';
import { isKeySetRequest, publishOn } from './published-keys.ts';
import {
  type Accepted,
  acceptedKinds,
  allowKinds,
  allowRoles,
  allowScopes,
  assertScopes,
  type Decision,
  identityOf,
  rememberIdentity,
} from './verified.ts';

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

  async function verify(req: Request): Promise<void> {
    const { method, originalUrl: target, rawHeaders } = req;
    const head = await verifier.verifyHead({ method, target, rawHeaders, stream: stream?.(req) ?? false });
    const body = head.needsBody ? await readAndRestoreBody(req, maxBodyBytes) : undefined;
    rememberIdentity(req, await head.complete(body));
  }

  return (req, res, next) => {
    if (isRewritten(req)) {
      next(new Error('install verifyIdentity before middleware that rewrites req.url: it verifies req.originalUrl'));
      return;
    }
    if (isExempt(req.method, req.originalUrl)) {
      stripIdentityHeaders(req);
      publish(req, res, next);
      return;
    }
    verify(req)
      .then(
        () => next(),
        (error: unknown) => {
          const refusal = problemForError(error, { target: req.originalUrl, requestId: requestIdOf(req, res) });
          stripIdentityHeaders(req);
          if (refusal === undefined) {
            next(error);
            return;
          }
          onRefused?.(req, res, { reason: refusal.reason });
          send(res, refusal);
        },
      )
      .catch(next); // Without it, an onRefused that throws would leave the request unanswered.
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

/**
 * Whether the routed URL differs from the verified one. Express may have removed a mount point; nothing else may
 * change.
 */
function isRewritten({ url, baseUrl, originalUrl }: Request): boolean {
  if (baseUrl + url === originalUrl) return false;
  // Express turns `/mount?x` into `/?x` and adds the slash.
  return !((url === '/' || url.startsWith('/?')) && baseUrl + url.slice(1) === originalUrl);
}

/**
 * Allows these kinds of caller; others get 403 `identity_not_allowed`. Default: users only.
 *
 * @param accepted `{ accept: ['user', 'client'] }`, or the kinds one by one.
 * @throws RangeError for an empty `accept`.
 */
export function requireIdentity(...accepted: Accepted): RequestHandler {
  const kinds = acceptedKinds(accepted);
  return guard((req) => allowKinds(req, kinds));
}

/**
 * Allows users, and services acting for users, with one of these roles; others get 403 `insufficient_role`. After
 * `requireIdentity({ accept: ['user', 'client'] })` the role of a client counts too.
 *
 * @throws RangeError without a role, because an empty list would refuse every request.
 */
export function requireRole(...roles: string[]): RequestHandler {
  if (roles.length === 0) throw new RangeError('requireRole needs a role');
  return guard((req) => allowRoles(req, roles));
}

/**
 * Allows callers whose token has all of these scopes; others get 403 `insufficient_scope` with a challenge that names
 * the scopes. On its own it allows users, and services acting for users. After
 * `requireIdentity({ accept: ['user', 'client'] })` it allows OAuth clients too.
 *
 * @throws RangeError without a scope, and for a name that no token can have.
 */
export function requireScope(...scopes: string[]): RequestHandler {
  assertScopes(scopes);
  return guard((req) => allowScopes(req, scopes));
}

/** Allows users and anonymous callers, for routes that the gateway opens to the public. */
export function allowAnonymous(): RequestHandler {
  return requireIdentity('anonymous', 'user');
}

/**
 * Returns the user of a request.
 *
 * @throws Error when the caller is of another kind, or no guard ran.
 */
export function userOf(req: Request): UserIdentity {
  const identity = identityOf(req);
  if (identity.kind !== 'user') throw new Error(`the identity is a ${identity.kind}, not a user`);
  return identity;
}

function guard(decide: (req: Request) => Decision): RequestHandler {
  return (req, res, next) => {
    const { refusal } = decide(req);
    if (refusal === undefined) next();
    else send(res, problemForRefusal(refusal, { target: req.originalUrl, requestId: requestIdOf(req, res) }));
  };
}
