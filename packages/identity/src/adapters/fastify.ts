import type { FastifyInstance, FastifyReply, FastifyRequest, preHandlerAsyncHookHandler } from 'fastify';
import type { Identity, UserIdentity } from '../contract/identity.ts';
import { isExempt } from '../verify/exempt.ts';
import type { Verifier } from '../verify/verify.ts';
import { requestIdOf, stripIdentityHeaders, stripResponse, verifyRequest } from './node-request.ts';
import { type ProblemResponse, problemForRefusal } from './problem.ts';
import { askForWholeSet, isKeySetRequest, publishKeys } from './service-key-set.ts';
import { guardsOf, identityOf, userOf as userOfRaw } from './verified.ts';

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
      stripResponse(reply.raw);
      if (agreement !== undefined && isKeySetRequest(method, target)) seenTags.set(raw, askForWholeSet(raw));
      return;
    }
    const isStream = () => stream?.(request) ?? false;
    const refusal = await verifyRequest(raw, { verifier, target, isStream, maxBodyBytes, response: reply });
    if (refusal === undefined) {
      stripResponse(reply.raw);
      return;
    }
    onRefused?.(request, { reason: refusal.reason });
    return send(reply, refusal);
  });
  if (agreement === undefined) return;
  fastify.addHook('onSend', async ({ raw }, reply, payload) => {
    if (!seenTags.has(raw)) return payload;
    const body = typeof payload === 'string' || Buffer.isBuffer(payload) ? payload.toString() : '';
    const published = publishKeys(agreement, { status: reply.statusCode, body });
    if (published === undefined) return payload;
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

/** Returns the user who made the request. @throws Error if the caller is not a user, or if no guard ran. */
export const userOf = ({ raw }: FastifyRequest): UserIdentity => userOfRaw(raw);

/** Each guard is a `preHandler`. */
export const { requireIdentity, requireRole, requireScope, allowAnonymous } = guardsOf<preHandlerAsyncHookHandler>(
  (decide) => async (request, reply) => {
    const { raw, originalUrl: target } = request;
    const { refusal } = decide(raw);
    if (refusal === undefined) return;
    return send(reply, problemForRefusal(refusal, { target, requestId: requestIdOf(raw, reply) }));
  },
);

function send(reply: FastifyReply, { status, headers, body }: ProblemResponse): FastifyReply {
  return reply.code(status).headers(headers).send(body);
}
