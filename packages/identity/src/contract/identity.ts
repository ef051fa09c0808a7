/** What is known of the caller besides who it is; the members of `x-identity-context`. */
export type IdentityContext = Readonly<{
  /** The client's address as the gateway saw it. */
  ip?: string;
  /** Who issued the caller's token. */
  iss?: string;
  /** The login session; absent for tokens without one. */
  sid?: string;
  /** When the user last proved who they are, in Unix seconds. */
  authTime?: number;
  /** How they did so (RFC 8176). */
  amr?: readonly string[];
  /** Thumbprint of the key that the client proved to hold with this request (RFC 9449): the one its token is bound to, or is going to be. */
  jkt?: string;
}>;

/** A user of one tenant. */
export type UserClaims = Readonly<{ userId: string; role: string; tenantId: string }>;

type Common = Readonly<{ requestId: string; context: IdentityContext }>;

export type UserIdentity = Common & UserClaims & Readonly<{ kind: 'user'; txnToken?: string }>;
export type AnonymousIdentity = Common & Readonly<{ kind: 'anonymous' }>;
/** The gateway itself, e.g. following a feed that only it may read. */
export type GatewayIdentity = Common & Readonly<{ kind: 'gateway' }>;
/** Another service on a nested call; `user` is whom it acts for, if anybody. */
export type ServiceIdentity = Common &
  Readonly<{ kind: 'service'; serviceId: string; user?: UserClaims; txnToken?: string }>;

/** Who sent a request, as the gateway signed it. */
export type Identity = UserIdentity | AnonymousIdentity | GatewayIdentity | ServiceIdentity;
export type IdentityKind = Identity['kind'];

type ContextFacts = Readonly<{ context?: Omit<IdentityContext, 'ip'> }>;

/** An identity before it belongs to a request: what stays the same for every request of one token. */
export type IdentityFacts =
  | (ContextFacts & UserClaims & Readonly<{ kind: 'user' }>)
  | (ContextFacts & Readonly<{ kind: 'anonymous' | 'gateway' }>)
  | (ContextFacts & Readonly<{ kind: 'service'; serviceId: string; user?: UserClaims }>);
