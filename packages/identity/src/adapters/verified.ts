import { isScope } from '../contract/grammar.ts';
import type { Identity, IdentityKind, UserIdentity } from '../contract/identity.ts';
import type { GuardRefusal } from './problem.ts';

type Verified = { readonly identity: Identity; allowed: boolean };

/** Keyed by request object, so that a property set by a handler or parser cannot pose as an identity. */
const verified = new WeakMap<object, Verified>();

/** Records the identity of a verified request. Adapters call it. */
export function rememberIdentity(request: object, identity: Identity): void {
  verified.set(request, { identity, allowed: false });
}

/** @throws Error when no adapter verified this request, which is a mistake in the service's setup. */
function verifiedOf(request: object): Verified {
  const found = verified.get(request);
  if (found === undefined) {
    throw new Error('no verified identity: run verifyIdentity first; requests on exempt paths have no identity');
  }
  return found;
}

/** A guard's decision. Throws if the request was never verified. */
export type GuardDecision =
  | Readonly<{ identity: Identity; refusal?: never }>
  | Readonly<{ identity?: never; refusal: GuardRefusal }>;

/** The kinds of caller that a guard accepts: named one by one, or `{ accept: ['user', 'client'] }`. */
export type Accepted<K extends IdentityKind = IdentityKind> =
  | readonly K[]
  | readonly [Readonly<{ accept: readonly K[] }>];

/** @throws RangeError for an empty `accept`, which would refuse every request. */
export function acceptedKinds<K extends IdentityKind>(accepted: Accepted<K>): readonly (K | 'user')[] {
  const [first] = accepted;
  if (first === undefined) return ['user'];
  if (typeof first !== 'object') return accepted as readonly K[];
  if (first.accept.length === 0) throw new RangeError('requireIdentity needs a kind of caller');
  return first.accept;
}

/**
 * Lets the handler read the identity if its kind is one of `kinds`. A service that acts for a client needs `client`
 * too: a handler that does not know clients would take it for a service that acts for itself.
 */
export function allowKinds(request: object, kinds: readonly IdentityKind[]): GuardDecision {
  const found = verifiedOf(request);
  const { identity } = found;
  const isForClient = identity.kind === 'service' && identity.client !== undefined;
  return kinds.includes(identity.kind) && (!isForClient || kinds.includes('client'))
    ? allow(found)
    : refuse('identity_not_allowed');
}

/**
 * Lets the handler read the identity if it has one of these roles. Users, and services acting for users, need no other
 * guard. A client's role counts if an earlier guard accepted clients.
 */
export function allowRoles(request: object, roles: readonly string[]): GuardDecision {
  const found = verifiedOf(request);
  const role = isAccepted(found) ? roleOf(found.identity) : undefined;
  return role !== undefined && roles.includes(role) ? allow(found) : refuse('insufficient_role');
}

/**
 * Lets the handler read the identity if its token has all of these scopes, compared byte by byte. Users, and services
 * acting for users, need no other guard. Other callers need an earlier guard that accepts their kind.
 */
export function allowScopes(request: object, scopes: readonly string[]): GuardDecision {
  const found = verifiedOf(request);
  if (!isAccepted(found)) return refuse('identity_not_allowed');
  const { scope = [], jkt } = found.identity.context;
  if (scopes.every((name) => scope.includes(name))) return allow(found);
  // RFC 6750 section 3.1 and RFC 9449 section 7.1: with `jkt`, the token is bound to a key.
  const challenge = `${jkt === undefined ? 'Bearer' : 'DPoP'} error="insufficient_scope", scope="${scopes.join(' ')}"`;
  return refuse('insufficient_scope', { 'www-authenticate': challenge });
}

/** @throws RangeError without a scope, and for a name that no token can have. */
export function assertScopes(scopes: readonly string[]): void {
  if (scopes.length === 0) throw new RangeError('requireScope needs a scope');
  for (const name of scopes) {
    if (!isScope(name)) throw new RangeError(`not a scope of RFC 6749 section 3.3: ${JSON.stringify(name)}`);
  }
}

/** Returns the identity. @throws Error when no guard ran for this request, so that a missing guard fails with 500. */
export function identityOf(request: object): Identity {
  const found = verifiedOf(request);
  if (!found.allowed)
    throw new Error(
      'identity read without a guard: add requireIdentity, requireRole, requireScope or allowAnonymous to this route',
    );
  return found.identity;
}

/** Returns the user who made a request. @throws Error if the caller is not a user, or if no guard ran. */
export function userOf(request: object): UserIdentity {
  const identity = identityOf(request);
  if (identity.kind !== 'user') throw new Error(`the identity is a ${identity.kind}, not a user`);
  return identity;
}

/** @param guard Makes a guard that sends the refusal of `decide`, if any. It passes the object that was verified. */
export function guardsOf<Guard>(guard: (decide: (request: object) => GuardDecision) => Guard) {
  const requireIdentity = (...accepted: Accepted) => {
    const kinds = acceptedKinds(accepted);
    return guard((request) => allowKinds(request, kinds));
  };
  return {
    /**
     * Allows these kinds of caller; others get 403 `identity_not_allowed`. Default: users only.
     *
     * @param accepted `{ accept: ['user', 'client'] }`, or the kinds one by one.
     * @throws RangeError for an empty `accept`.
     */
    requireIdentity,
    /**
     * Allows users, and services acting for users, with one of these roles; others get 403 `insufficient_role`. After
     * `requireIdentity({ accept: ['user', 'client'] })` the role of a client counts too.
     *
     * @throws RangeError without a role, because an empty list would refuse every request.
     */
    requireRole: (...roles: string[]) => {
      if (roles.length === 0) throw new RangeError('requireRole needs a role');
      return guard((request) => allowRoles(request, roles));
    },
    /**
     * Allows callers whose token has all of these scopes; others get 403 `insufficient_scope` with a challenge that
     * names the scopes. On its own it allows users, and services acting for users. After
     * `requireIdentity({ accept: ['user', 'client'] })` it allows OAuth clients too.
     *
     * @throws RangeError without a scope, and for a name that no token can have.
     */
    requireScope: (...scopes: string[]) => {
      assertScopes(scopes);
      return guard((request) => allowScopes(request, scopes));
    },
    /** Allows users and anonymous callers, for routes that the gateway opens to the public. */
    allowAnonymous: () => requireIdentity('anonymous', 'user'),
  };
}

function allow(found: Verified): GuardDecision {
  found.allowed = true;
  return { identity: found.identity };
}

const refuse = (code: GuardRefusal['code'], headers: GuardRefusal['headers'] = {}): GuardDecision => ({
  refusal: { code, headers },
});

function isAccepted({ identity, allowed }: Verified): boolean {
  return allowed || identity.kind === 'user' || (identity.kind === 'service' && identity.user !== undefined);
}

function roleOf(identity: Identity): string | undefined {
  if (identity.kind === 'user' || identity.kind === 'client') return identity.role;
  return identity.kind === 'service' ? (identity.user ?? identity.client)?.role : undefined;
}
