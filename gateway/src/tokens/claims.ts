import { type Actor, type IdentityContext, idPattern } from '@countersign/identity';
import type { Scalar } from '../config/config.ts';
import type { CopiedClaim } from './claim-mapping/copied-claims.ts';

type CommonClaims = Readonly<{
  issuer: string;
  /** `sub` as the issuer wrote it. The issuer's revocations refer to it. */
  subject: string;
  sessionId: string | undefined;
  issuedAtSec: number;
  expiresAtSec: number;
  /** The scopes that the configuration knows. */
  scope: readonly string[];
  /** The outermost actor (RFC 8693 section 4.1). Undefined if the caller acts on its own behalf. */
  act: Actor | undefined;
  /** The values of the claims that routes check with `allow.claims`. */
  kept: ReadonlyMap<string, readonly Scalar[]>;
}>;

/** A user. `clientId` is the OAuth client that the user logged in with, in any grammar. */
type UserSubject = Readonly<{
  kind: 'user';
  userId: string;
  role: string;
  tenantId: string;
  clientId: string | undefined;
}>;

/** An OAuth client that calls on its own behalf. It never counts as a user. */
type ClientSubject = Readonly<{
  kind: 'client';
  userId: undefined;
  role: string | undefined;
  tenantId: string | undefined;
  clientId: string;
}>;

/** The claims that decide whether a token is still valid, and whether a route's rules allow it. */
export type StatusClaims = CommonClaims & (UserSubject | ClientSubject);

type TokenDetails = Readonly<{
  /** Undefined if the token has no `jti`, which only RFC 9068 requires. */
  tokenId: string | undefined;
  authTimeSec: number | undefined;
  authMethods: readonly string[] | undefined;
  /** The thumbprint of the key that the token is bound to (RFC 9449 section 6.1). Undefined if it is not bound. */
  jkt: string | undefined;
  /** SHA-256 of the client certificate that the token is bound to (RFC 8705 section 3.1). */
  certificate: string | undefined;
  /** Every mapped role in the token. Empty if roles are not mapped. */
  roles: readonly string[];
  /** The claims that identity tokens copy. */
  copied: ReadonlyMap<string, CopiedClaim>;
}>;

/** The claims of a verified access token. Each value matches the grammar of the identity contract. */
export type Claims = TokenDetails & StatusClaims;

/**
 * Returns what a service learns from a token besides its user or OAuth client.
 *
 * @param jkt The key whose proof came with the request. It differs from the token's key only at token endpoints.
 */
export function contextOf(claims: Claims, jkt: string | undefined): IdentityContext {
  const { authTimeSec, authMethods, roles } = claims;
  return {
    ...delegationOf(claims),
    ...(authTimeSec !== undefined && { authTime: authTimeSec }),
    ...(authMethods !== undefined && { amr: authMethods }),
    ...(jkt !== undefined && { jkt }),
    ...(roles.length > 0 && { roles }),
  };
}

/** Returns the part of {@link contextOf} that nested calls pass on. */
export function delegationOf(claims: StatusClaims): IdentityContext {
  const { issuer, sessionId, kind, clientId, scope, act } = claims;
  // Omits an OAuth client that does not look like an id, such as an origin at Clerk. Strict issuers send none.
  const client = kind === 'user' && clientId !== undefined && idPattern.test(clientId) ? clientId : undefined;
  return {
    iss: issuer,
    ...(sessionId !== undefined && { sid: sessionId }),
    ...(client !== undefined && { client }),
    ...(scope.length > 0 && { scope }),
    ...(act !== undefined && { act }),
  };
}
