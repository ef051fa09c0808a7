import { readBody } from '@countersign/jwks';
import { foldHeaderName, isIdentityHeader } from '../contract/header-names.ts';
import type { Identity, IdentityKind, UserIdentity } from '../contract/identity.ts';
import { isExempt } from '../verify/exempt.ts';
import type { Verifier } from '../verify/verify.ts';
import { BodyTooLarge, type ProblemResponse, problemForError, problemForRefusal } from './problem.ts';
import { isKeySetRequest, type PublishedKeySet, publishKeys } from './service-key-set.ts';
import {
  type Accepted,
  acceptedKinds,
  allowKinds,
  allowRoles,
  allowScopes,
  assertScopes,
  type GuardDecision,
  identityOf,
  rememberIdentity,
} from './verified.ts';

export type WebIdentityOptions = Readonly<{
  verifier: Verifier;
  /** Largest body read into memory to check its digest, in bytes. Default 1 MiB. */
  maxBodyBytes?: number;
  /** Whether this request's body may lack a digest. Decide by method and URL, not by headers. */
  stream?: (request: Request) => boolean;
  onRefused?: (request: Request, refusal: { reason: string }) => void;
  /**
   * The service's own key set at `/.well-known/jwks.json`, if it has one. With `agreement`, the adapter responds to
   * that path itself, with this set and the keys for agreement.
   */
  ownKeySet?: () => object | Promise<object>;
}>;

/** Carries the response to send instead of calling the handler. Hono calls `getResponse` itself. */
export class IdentityResponse extends Error {
  override readonly name = 'IdentityResponse';
  readonly status: number;
  readonly #answer: ProblemResponse;

  constructor(reply: ProblemResponse, cause?: unknown) {
    super(`answered with ${reply.status}`, { cause });
    this.status = reply.status;
    this.#answer = reply;
  }

  getResponse(): Response {
    const { status, headers, body } = this.#answer;
    return new Response(status === 304 ? null : body, { status, headers });
  }
}

/**
 * Verifies Web `Request`s (Hono, Next.js, Deno, Bun). `Request` normalizes URLs; the gateway signs only targets that
 * are already normalized, so the bytes stay the same.
 *
 * @returns A function that returns the request to continue with; its body is complete and unread. For GET and HEAD on
 *   exempt paths (`/healthz`, `/readyz`, `/metrics`, `/.well-known/*`) the returned request has neither identity
 *   headers nor an identity.
 * @throws IdentityResponse (from that function) with the response: 401, 413 or 503; with `agreement` also the key set.
 */
export function verifyIdentity(options: WebIdentityOptions): (request: Request) => Promise<Request> {
  const { verifier, maxBodyBytes = 1024 * 1024, stream, onRefused } = options;

  async function verify(request: Request, target: string): Promise<Request> {
    const head = await verifier.verifyHead({
      method: request.method,
      target,
      rawHeaders: [...request.headers].flat(),
      hasBody: request.body !== null,
      stream: stream?.(request) ?? false,
    });
    if (!head.needsBody) return withIdentity(request, await head.complete());
    const body = await readBody(request, maxBodyBytes);
    if (body === undefined) throw new BodyTooLarge();
    const identity = await head.complete(body);
    return withIdentity(request.body === null ? request : new Request(request, { body }), identity);
  }

  return async (request) => {
    const { pathname, search } = new URL(request.url);
    const target = pathname + search;
    if (isExempt(request.method, target)) {
      if (verifier.agreement !== undefined && isKeySetRequest(request.method, target)) {
        const own = JSON.stringify((await options.ownKeySet?.()) ?? { keys: [] });
        const published = publishKeys(verifier.agreement, { status: 200, body: own });
        if (published !== undefined) throw new IdentityResponse(keySetAnswer(published, request));
      }
      return withoutIdentityHeaders(request);
    }
    try {
      return await verify(request, target);
    } catch (error) {
      const refusal = problemForError(error, { target, requestId: request.headers.get('x-request-id') ?? undefined });
      if (refusal === undefined) throw error;
      onRefused?.(request, { reason: refusal.reason });
      throw new IdentityResponse(refusal, error);
    }
  };
}

/**
 * Wraps a handler of Web `Request`s, such as `app.fetch` of Hono: verifies each request, responds to those that are
 * refused, publishes the service's keys for agreement beside the handler's own key set, and removes `x-identity-*` from
 * the handler's responses. A relayed 401 of another service would otherwise make the gateway sign with ed25519.
 */
export function protect<Rest extends unknown[]>(
  options: Omit<WebIdentityOptions, 'ownKeySet'>,
  handler: (request: Request, ...rest: Rest) => Response | Promise<Response>,
): (request: Request, ...rest: Rest) => Promise<Response> {
  const verify = verifyIdentity(options);
  const { agreement } = options.verifier;

  async function respond(request: Request, rest: Rest): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (agreement === undefined || !isKeySetRequest(request.method, pathname)) {
      return handler(await verify(request), ...rest);
    }
    // Without conditions, and GET for HEAD: the handler responds with its whole set.
    const own = await handler(new Request(request.url), ...rest);
    const published = publishKeys(agreement, { status: own.status, body: await own.clone().text() });
    return published === undefined ? own : new IdentityResponse(keySetAnswer(published, request)).getResponse();
  }

  return async (request, ...rest) => {
    try {
      return withoutIdentity(await respond(request, rest));
    } catch (error) {
      if (error instanceof IdentityResponse) return error.getResponse();
      throw error;
    }
  };
}

function withoutIdentity(response: Response): Response {
  const names = [...response.headers.keys()].filter((name) => name.startsWith('x-identity-'));
  if (names.length === 0) return response;
  const stripped = new Response(response.body, response);
  for (const name of names) stripped.headers.delete(name);
  return stripped;
}

/**
 * Returns the identity of a request that {@link verifyIdentity} returned, if it is of one of these kinds. Default:
 * users only.
 *
 * @param accepted `{ accept: ['user', 'client'] }`, or the kinds one by one.
 * @throws IdentityResponse 403 `identity_not_allowed` for another kind; RangeError for an empty `accept`; Error for a
 *   request that was never verified.
 */
export function requireIdentity(request: Request): UserIdentity;
export function requireIdentity<K extends IdentityKind>(
  request: Request,
  ...accepted: Accepted<K>
): Extract<Identity, { kind: K }>;
export function requireIdentity(request: Request, ...accepted: Accepted): Identity {
  return identityIn(request, allowKinds(request, acceptedKinds(accepted)));
}

/**
 * Returns the identity of a user, or of a service acting for a user, with one of these roles. After `requireIdentity`
 * with `{ accept: ['user', 'client'] }` the role of a client counts too.
 *
 * @throws IdentityResponse 403 `insufficient_role`; Error for a request that was never verified.
 */
export function requireRole(request: Request, ...roles: string[]): Identity {
  return identityIn(request, allowRoles(request, roles));
}

/**
 * Returns the identity if its token has all of these scopes. On its own it allows users, and services acting for
 * users. After `requireIdentity` with `{ accept: ['user', 'client'] }` it allows OAuth clients too.
 *
 * @throws IdentityResponse 403 `insufficient_scope`, with a challenge that names the scopes; RangeError without a
 *   scope, and for a name that no token can have; Error for a request that was never verified.
 */
export function requireScope(request: Request, ...scopes: string[]): Identity {
  assertScopes(scopes);
  return identityIn(request, allowScopes(request, scopes));
}

/** Returns the identity. @throws Error unless requireIdentity, requireRole or requireScope has allowed this request. */
export { identityOf };

function identityIn(request: Request, { identity, refusal }: GuardDecision): Identity {
  if (refusal === undefined) return identity;
  const { pathname } = new URL(request.url);
  const requestId = request.headers.get('x-request-id') ?? undefined;
  throw new IdentityResponse(problemForRefusal(refusal, { target: pathname, requestId }));
}

function keySetAnswer({ headers, body }: PublishedKeySet, { method, headers: sent }: Request): ProblemResponse {
  const isUnchanged = sent.get('if-none-match') === headers.etag;
  return { status: isUnchanged ? 304 : 200, headers, body: isUnchanged || method === 'HEAD' ? '' : body };
}

function withIdentity(request: Request, identity: Identity): Request {
  rememberIdentity(request, identity);
  return request;
}

function withoutIdentityHeaders(request: Request): Request {
  const headers = new Headers(request.headers);
  for (const name of [...headers.keys()]) if (isIdentityHeader(foldHeaderName(name))) headers.delete(name);
  return new Request(request, { headers });
}
