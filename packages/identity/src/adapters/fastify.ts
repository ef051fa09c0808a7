import type { FastifyInstance, FastifyReply, FastifyRequest, preHandlerAsyncHookHandler } from 'fastify';
import type { Identity, IdentityKind, UserIdentity } from '../contract/identity.ts';
import { isExempt } from '../verify/exempt.ts';
import type { Verifier } from '../verify/verify.ts';
import { readAndRestoreBody, requestIdOf, stripIdentityHeaders } from './node-request.ts';
import { type ProblemCode, type ProblemResponse, problemForError, problemResponse } from './problem.ts';
import { allowKinds, allowRoles, identityOf, rememberIdentity } from './verified.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /**
     * Who sent this request.
     *
     * @throws Error unless requireIdentity, requireRole or allowAnonymous let this request through.
     */
    readonly identity: Identity;
  }
}

export type FastifyIdentityOptions = Readonly<{
  verifier: Verifier;
  /** Largest body read into memory to compare its digest. Default 1 MiB. */
  maxBodyBytes?: number;
  /** Whether this request's body may come without a digest. */
  stream?: (request: FastifyRequest) => boolean;
  onRefused?: (request: FastifyRequest, refusal: { reason: string }) => void;
}>;

async function plugin(fastify: FastifyInstance, options: FastifyIdentityOptions): Promise<void> {
  const { verifier, maxBodyBytes = 1024 * 1024, stream, onRefused } = options;
  fastify.decorateRequest('identity', {
    getter(this: FastifyRequest) {
      return identityOf(this.raw);
    },
  });
  fastify.addHook('onRequest', async (request, reply) => {
    const { raw, method, originalUrl: target } = request;
    if (raw.url !== target) throw new Error('rewriteUrl changes what is routed after it was signed: do not use it');
    if (isExempt(method, target)) {
      stripIdentityHeaders(raw);
      return;
    }
    try {
      const { rawHeaders } = raw;
      const head = await verifier.verifyHead({ method, target, rawHeaders, stream: stream?.(request) ?? false });
      const body = head.needsBody ? await readAndRestoreBody(raw, maxBodyBytes) : undefined;
      rememberIdentity(raw, await head.complete(body));
    } catch (error) {
      const refusal = problemForError(error, { target, requestId: requestIdOf(raw, reply) });
      stripIdentityHeaders(raw);
      if (refusal === undefined) throw error;
      onRefused?.(request, { reason: refusal.reason });
      return send(reply, refusal);
    }
  });
}

/**
 * Fastify plugin: refuses every request that the gateway did not sign for this service, except GET and HEAD on `/healthz`,
 * `/readyz`, `/metrics` and `/.well-known/*`. Register it first and at the root; it covers every route, unknown ones included.
 */
export const verifyIdentity = Object.assign(plugin, {
  // Fastify's mark for a plugin that works on the instance it is registered on, instead of on a child of it.
  [Symbol.for('skip-override')]: true,
  [Symbol.for('fastify.display-name')]: '@countersign/identity',
});

/** As a route's `preHandler`: lets these kinds of caller through, others get 403. Default: users only. */
export function requireIdentity(...kinds: IdentityKind[]): preHandlerAsyncHookHandler {
  const wanted: readonly IdentityKind[] = kinds.length === 0 ? ['user'] : kinds;
  return guard((raw) => allowKinds(raw, wanted), 'identity_not_allowed');
}

/**
 * As a route's `preHandler`: lets users, and services acting for users, with one of these roles through.
 *
 * @throws RangeError without a role.
 */
export function requireRole(...roles: string[]): preHandlerAsyncHookHandler {
  if (roles.length === 0) throw new RangeError('requireRole needs a role');
  return guard((raw) => allowRoles(raw, roles), 'insufficient_role');
}

/** As a route's `preHandler`: lets users and anonymous callers through. */
export function allowAnonymous(): preHandlerAsyncHookHandler {
  return requireIdentity('anonymous', 'user');
}

/** @throws Error when the identity is of another kind, or no guard ran. */
export function userOf(request: FastifyRequest): UserIdentity {
  const { identity } = request;
  if (identity.kind !== 'user') throw new Error(`the identity is a ${identity.kind}, not a user`);
  return identity;
}

function guard(allow: (raw: object) => Identity | undefined, code: ProblemCode): preHandlerAsyncHookHandler {
  return async (request, reply) => {
    if (allow(request.raw) !== undefined) return;
    return send(
      reply,
      problemResponse(code, { target: request.originalUrl, requestId: requestIdOf(request.raw, reply) }),
    );
  };
}

function send(reply: FastifyReply, { status, headers, body }: ProblemResponse): FastifyReply {
  return reply.code(status).headers(headers).send(body);
}
