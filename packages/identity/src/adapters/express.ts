import { IncomingMessage } from 'node:http';
import type { Request, RequestHandler, Response } from 'express';
import type { Identity, IdentityKind, UserIdentity } from '../contract/identity.ts';
import { isExempt } from '../verify/exempt.ts';
import type { Verifier } from '../verify/verify.ts';
import { readAndRestoreBody, requestIdOf, send, stripIdentityHeaders } from './node-request.ts';
import { type ProblemCode, problemForError, problemResponse } from './problem.ts';
import { allowKinds, allowRoles, identityOf, rememberIdentity } from './verified.ts';

declare global {
  namespace Express {
    interface Request {
      /**
       * Who sent this request.
       *
       * @throws Error unless requireIdentity, requireRole or allowAnonymous let this request through.
       */
      readonly identity: Identity;
    }
  }
}

// On the prototype, so that reading it throws also in an app that forgot verifyIdentity, instead of answering undefined.
Object.defineProperty(IncomingMessage.prototype, 'identity', {
  configurable: true,
  get(this: IncomingMessage): Identity {
    return identityOf(this);
  },
});

export type VerifyIdentityOptions = Readonly<{
  verifier: Verifier;
  /** Largest body read into memory to compare its digest. Default 1 MiB. */
  maxBodyBytes?: number;
  /** Whether this request's body may come without a digest. Judge by method and `originalUrl`, not by headers. */
  stream?: (req: Request) => boolean;
  /** For logs and metrics. */
  onRefused?: (req: Request, res: Response, refusal: { reason: string }) => void;
}>;

/**
 * Refuses every request that the gateway did not sign for this service, except GET and HEAD on `/healthz`,
 * `/readyz`, `/metrics` and `/.well-known/*`. Goes first: before any parser, before routing, before anything that rewrites `req.url`. Parsers behind it read
 * the body as usual.
 */
export function verifyIdentity(options: VerifyIdentityOptions): RequestHandler {
  const { verifier, maxBodyBytes = 1024 * 1024, stream, onRefused } = options;

  async function verify(req: Request): Promise<void> {
    const { method, originalUrl: target, rawHeaders } = req;
    const head = await verifier.verifyHead({ method, target, rawHeaders, stream: stream?.(req) ?? false });
    const body = head.needsBody ? await readAndRestoreBody(req, maxBodyBytes) : undefined;
    rememberIdentity(req, await head.complete(body));
  }

  return (req, res, next) => {
    if (isRewritten(req)) {
      next(new Error('verifyIdentity must come before whatever rewrites req.url: it verifies originalUrl'));
      return;
    }
    if (isExempt(req.method, req.originalUrl)) {
      stripIdentityHeaders(req);
      next();
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
      .catch(next); // An onRefused that throws must not leave the request without an answer.
  };
}

/** What was verified must be what is routed. A mount point may be cut off; nothing else may have changed. */
function isRewritten({ url, baseUrl, originalUrl }: Request): boolean {
  if (baseUrl + url === originalUrl) return false;
  // Of `/mount?x` Express leaves `/?x`: the slash is its own.
  return !((url === '/' || url.startsWith('/?')) && baseUrl + url.slice(1) === originalUrl);
}

/** Lets these kinds of caller through, others get 403 `identity_not_allowed`. Default: users only. */
export function requireIdentity(...kinds: IdentityKind[]): RequestHandler {
  const wanted: readonly IdentityKind[] = kinds.length === 0 ? ['user'] : kinds;
  return guard((req) => allowKinds(req, wanted), 'identity_not_allowed');
}

/**
 * Lets users, and services acting for users, with one of these roles through; others get 403 `insufficient_role`.
 *
 * @throws RangeError without a role: an empty list would let nobody through.
 */
export function requireRole(...roles: string[]): RequestHandler {
  if (roles.length === 0) throw new RangeError('requireRole needs a role');
  return guard((req) => allowRoles(req, roles), 'insufficient_role');
}

/** Lets users and anonymous callers through: the route is open to everybody who came through the gateway. */
export function allowAnonymous(): RequestHandler {
  return requireIdentity('anonymous', 'user');
}

/**
 * The user behind a request.
 *
 * @throws Error when its identity is of another kind, or no guard ran.
 */
export function userOf(req: Request): UserIdentity {
  const identity = identityOf(req);
  if (identity.kind !== 'user') throw new Error(`the identity is a ${identity.kind}, not a user`);
  return identity;
}

function guard(allow: (req: Request) => Identity | undefined, code: ProblemCode): RequestHandler {
  return (req, res, next) => {
    if (allow(req) === undefined) {
      send(res, problemResponse(code, { target: req.originalUrl, requestId: requestIdOf(req, res) }));
      return;
    }
    next();
  };
}
