import { isScope } from '../contract/grammar.ts';
import type { Identity, IdentityKind } from '../contract/identity.ts';
import type { Refusal } from './problem.ts';

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
export type Decision =
  | Readonly<{ identity: Identity; refusal?: never }>
  | Readonly<{ identity?: never; refusal: Refusal }>;

/** The kinds of caller that a guard accepts: named one by one, or `{ accept: ['user', 'client'] }`. */
export type Accepted<K extends IdentityKind = IdentityKind> =
  | readonly K[]
  | readonly [Readonly<{ accept: readonly K[] }>];

/**
 * Reads the arguments of `requireIdentity`. Default: users only.
 *
 * @throws RangeError for an empty `accept`, which would refuse every request.
 */
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
export function allowKinds(request: object, kinds: readonly IdentityKind[]): Decision {
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
export function allowRoles(request: object, roles: readonly string[]): Decision {
  const found = verifiedOf(request);
  const role = isAccepted(found) ? roleOf(found.identity) : undefined;
  return role !== undefined && roles.includes(role) ? allow(found) : refuse('insufficient_role');
}

/**
 * Lets the handler read the identity if its token has all of these scopes, compared byte by byte. Users, and services
 * acting for users, need no other guard. Other callers need an earlier guard that accepts their kind.
 */
export function allowScopes(request: object, scopes: readonly string[]): Decision {
  const found = verifiedOf(request);
  if (!isAccepted(found)) return refuse('identity_not_allowed');
  const { scope = [], jkt } = found.identity.context;
  if (scopes.every((name) => scope.includes(name))) return allow(found);
  // RFC 6750 section 3.1 and RFC 9449 section 7.1. A caller with a DPoP proof uses a token that is bound to the
  // proof's key.
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

function allow(found: Verified): Decision {
  found.allowed = true;
  return { identity: found.identity };
}

const refuse = (code: Refusal['code'], headers: Refusal['headers'] = {}): Decision => ({ refusal: { code, headers } });

function isAccepted({ identity, allowed }: Verified): boolean {
  return allowed || identity.kind === 'user' || (identity.kind === 'service' && identity.user !== undefined);
}

function roleOf(identity: Identity): string | undefined {
  if (identity.kind === 'user' || identity.kind === 'client') return identity.role;
  return identity.kind === 'service' ? (identity.user ?? identity.client)?.role : undefined;
}
