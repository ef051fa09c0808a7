/** Further facts about the caller: the members of `x-identity-context`. */
export type IdentityContext = Readonly<{
  /** The client's IP address as the gateway saw it. */
  ip?: string;
  /** The issuer of the caller's token. */
  iss?: string;
  /** The login session. Absent for tokens without a session. */
  sid?: string;
  /** When the user last authenticated, in Unix seconds (OpenID Connect `auth_time`). */
  authTime?: number;
  /** Authentication methods that the user used (RFC 8176). */
  amr?: readonly string[];
  /**
   * Thumbprint of the DPoP key of this request (RFC 9449). The access token is bound to this key, or will be when the
   * request obtains a token.
   */
  jkt?: string;
}>;

/** A user of one tenant. */
export type UserClaims = Readonly<{ userId: string; role: string; tenantId: string }>;

type Common = Readonly<{ requestId: string; context: IdentityContext }>;

export type UserIdentity = Common & UserClaims & Readonly<{ kind: 'user'; txnToken?: string }>;
export type AnonymousIdentity = Common & Readonly<{ kind: 'anonymous' }>;
/** A request of the gateway's own, for example to the revocation feed. */
export type GatewayIdentity = Common & Readonly<{ kind: 'gateway' }>;
/** Another service on a nested call. `user` is set when the service acts for a user. */
export type ServiceIdentity = Common &
  Readonly<{ kind: 'service'; serviceId: string; user?: UserClaims; txnToken?: string }>;

/** The caller of a request, as signed by the gateway. */
export type Identity = UserIdentity | AnonymousIdentity | GatewayIdentity | ServiceIdentity;
export type IdentityKind = Identity['kind'];

type ContextFacts = Readonly<{ context?: Omit<IdentityContext, 'ip'> }>;

/** The part of an identity that is the same for every request of one token. */
export type IdentityFacts =
  | (ContextFacts & UserClaims & Readonly<{ kind: 'user' }>)
  | (ContextFacts & Readonly<{ kind: 'anonymous' | 'gateway' }>)
  | (ContextFacts & Readonly<{ kind: 'service'; serviceId: string; user?: UserClaims }>);
