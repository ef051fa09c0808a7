import type { Identity, IdentityKind } from '../contract/identity.ts';

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

/**
 * Lets the handler read the identity if its kind is one of `kinds`. A service that acts for a client needs `client`
 * too: a handler that does not know clients would take it for a service that acts for itself.
 *
 * @returns undefined for another kind.
 * @throws Error when the request was never verified.
 */
export function allowKinds(request: object, kinds: readonly IdentityKind[]): Identity | undefined {
  const found = verifiedOf(request);
  const { identity } = found;
  if (!kinds.includes(identity.kind)) return undefined;
  if (identity.kind === 'service' && identity.client !== undefined && !kinds.includes('client')) return undefined;
  found.allowed = true;
  return found.identity;
}

/** Like {@link allowKinds}, for a user, or a service acting for a user, with one of these roles. */
export function allowRoles(request: object, roles: readonly string[]): Identity | undefined {
  const found = verifiedOf(request);
  const role = roleOf(found.identity);
  if (role === undefined || !roles.includes(role)) return undefined;
  found.allowed = true;
  return found.identity;
}

/** Returns the identity. @throws Error when no guard ran for this request, so that a missing guard fails with 500. */
export function identityOf(request: object): Identity {
  const found = verifiedOf(request);
  if (!found.allowed)
    throw new Error('identity read without a guard: add requireIdentity, requireRole or allowAnonymous to this route');
  return found.identity;
}

function roleOf(identity: Identity): string | undefined {
  if (identity.kind === 'user') return identity.role;
  return identity.kind === 'service' ? identity.user?.role : undefined;
}
