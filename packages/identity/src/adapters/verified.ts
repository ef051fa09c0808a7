import type { Identity, IdentityKind } from '../contract/identity.ts';

type Verified = { readonly identity: Identity; allowed: boolean };

/** By request object, so that nothing a handler or a parser puts on the request can pass for an identity. */
const verified = new WeakMap<object, Verified>();

/** Called by adapters once a request is proven. */
export function rememberIdentity(request: object, identity: Identity): void {
  verified.set(request, { identity, allowed: false });
}

/** @throws Error when no adapter verified this request: a service put together wrongly, not a bad request. */
function verifiedOf(request: object): Verified {
  const found = verified.get(request);
  if (found === undefined) {
    throw new Error('no verified identity: verifyIdentity must run before this, and not on an exempt path');
  }
  return found;
}

/**
 * Opens the identity to the handler if its kind is among those asked for.
 *
 * @returns undefined when it is of another kind.
 * @throws Error when the request was never verified.
 */
export function allowKinds(request: object, kinds: readonly IdentityKind[]): Identity | undefined {
  const found = verifiedOf(request);
  if (!kinds.includes(found.identity.kind)) return undefined;
  found.allowed = true;
  return found.identity;
}

/** As {@link allowKinds}, for a user, or a service acting for one, with one of these roles. */
export function allowRoles(request: object, roles: readonly string[]): Identity | undefined {
  const found = verifiedOf(request);
  const role = roleOf(found.identity);
  if (role === undefined || !roles.includes(role)) return undefined;
  found.allowed = true;
  return found.identity;
}

/** @throws Error when no guard ran for this request: a forgotten guard is a 500, never open data. */
export function identityOf(request: object): Identity {
  const found = verifiedOf(request);
  if (!found.allowed)
    throw new Error('identity read without a guard: add requireIdentity, requireRole or allowAnonymous');
  return found.identity;
}

function roleOf(identity: Identity): string | undefined {
  if (identity.kind === 'user') return identity.role;
  return identity.kind === 'service' ? identity.user?.role : undefined;
}
