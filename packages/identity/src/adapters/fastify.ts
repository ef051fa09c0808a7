import type { FastifyInstance, FastifyReply, FastifyRequest, preHandlerAsyncHookHandler } from 'fastify';
import type { Identity, UserIdentity } from '../contract/identity.ts';
import { isExempt } from '../verify/exempt.ts';
import type { Verifier } from '../verify/verify.ts';
import { readAndRestoreBody, requestIdOf, stripIdentityHeaders } from './node-request.ts';
import { type ProblemResponse, problemForError, problemForRefusal } from './problem.ts';
import { askForWholeSet, hasFailed, isKeySetRequest, publishKeys } from './published-keys.ts';
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

declare module 'fastify' {
  interface FastifyRequest {
    /**
     * The caller of this request.
     *
     * @throws Error unless requireIdentity, requireRole, requireScope or allowAnonymous let this request through.
     */
    readonly identity: Identity;
  }
}

export type FastifyIdentityOptions = Readonly<{
  verifier: Verifier;
  /** Largest body read into memory to check its digest, in bytes. Default 1 MiB. */
  maxBodyBytes?: number;
  /** Whether this request's body may lack a digest. Decide by method and `originalUrl`, not by headers. */
  stream?: (request: FastifyRequest) => boolean;
  onRefused?: (request: FastifyRequest, refusal: { reason: string }) => void;
}>;

async function plugin(fastify: FastifyInstance, options: FastifyIdentityOptions): Promise<void> {
  const { verifier, maxBodyBytes = 1024 * 1024, stream, onRefused } = options;
  const { agreement } = verifier;
  /** `if-none-match` of requests for the key set. */
  const seenTags = new WeakMap<object, string | undefined>();
  fastify.decorateRequest('identity', {
    getter(this: FastifyRequest) {
      return identityOf(this.raw);
    },
  });
  fastify.addHook('onRequest', async (request, reply) => {
    const { raw, method, originalUrl: target } = request;
    if (raw.url !== target) throw new Error('do not use rewriteUrl: it changes the URL after the gateway signed it');
    if (isExempt(method, target)) {
      stripIdentityHeaders(raw);
      if (agreement !== undefined && isKeySetRequest(method, target)) seenTags.set(raw, askForWholeSet(raw));
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
  if (agreement === undefined) return;
  fastify.addHook('onSend', async ({ raw }, reply, payload) => {
    if (!seenTags.has(raw) || hasFailed(reply.statusCode)) return payload;
    const isText = typeof payload === 'string' || Buffer.isBuffer(payload);
    const published = publishKeys(agreement, isText && reply.statusCode === 200 ? payload.toString() : '');
    reply.removeHeader('content-length').removeHeader('last-modified').headers(published.headers);
    const isUnchanged = seenTags.get(raw) === published.headers.etag;
    reply.code(isUnchanged ? 304 : 200);
    return isUnchanged ? null : published.body;
  });
}

/**
 * Fastify plugin: refuses every request that the gateway did not sign for this service, except GET and HEAD on
 * `/healthz`, `/readyz`, `/metrics` and `/.well-known/*`. Register it first and at the root; it covers every route,
 * including unknown ones.
 */
export const verifyIdentity = Object.assign(plugin, {
  // Tells Fastify to run the plugin on the instance where it is registered, not on a child instance.
  [Symbol.for('skip-override')]: true,
  [Symbol.for('fastify.display-name')]: '@countersign/identity',
});

/**
 * A `preHandler` that allows these kinds of caller; others get 403 `identity_not_allowed`. Default: users only.
 *
 * @param accepted `{ accept: ['user', 'client'] }`, or the kinds one by one.
 * @throws RangeError for an empty `accept`.
 */
export function requireIdentity(...accepted: Accepted): preHandlerAsyncHookHandler {
  const kinds = acceptedKinds(accepted);
  return guard((raw) => allowKinds(raw, kinds));
}

/**
 * A `preHandler` that allows users, and services acting for users, with one of these roles; others get 403
 * `insufficient_role`. After `requireIdentity({ accept: ['user', 'client'] })` the role of a client counts too.
 *
 * @throws RangeError without a role.
 */
export function requireRole(...roles: string[]): preHandlerAsyncHookHandler {
  if (roles.length === 0) throw new RangeError('requireRole needs a role');
  return guard((raw) => allowRoles(raw, roles));
}

/**
 * A `preHandler` that allows callers whose token has all of these scopes; others get 403 `insufficient_scope` with a
 * challenge that names the scopes. On its own it allows users, and services acting for users. After
 * `requireIdentity({ accept: ['user', 'client'] })` it allows OAuth clients too.
 *
 * @throws RangeError without a scope, and for a name that no token can have.
 */
export function requireScope(...scopes: string[]): preHandlerAsyncHookHandler {
  assertScopes(scopes);
  return guard((raw) => allowScopes(raw, scopes));
}

/** A `preHandler` that allows users and anonymous callers. */
export function allowAnonymous(): preHandlerAsyncHookHandler {
  return requireIdentity('anonymous', 'user');
}

/** Returns the user who made the request. @throws Error if the caller is not a user, or if no guard ran. */
export function userOf(request: FastifyRequest): UserIdentity {
  const { identity } = request;
  if (identity.kind !== 'user') throw new Error(`the identity is a ${identity.kind}, not a user`);
  return identity;
}

function guard(decide: (raw: object) => Decision): preHandlerAsyncHookHandler {
  return async (request, reply) => {
    const { refusal } = decide(request.raw);
    if (refusal === undefined) return;
    const { raw, originalUrl: target } = request;
    return send(reply, problemForRefusal(refusal, { target, requestId: requestIdOf(raw, reply) }));
  };
}

function send(reply: FastifyReply, { status, headers, body }: ProblemResponse): FastifyReply {
  return reply.code(status).headers(headers).send(body);
}
