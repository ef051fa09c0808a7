/** What is known about the caller besides its id, role and tenant: the members of `x-identity-context`. */
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
  /** Thumbprint of the DPoP key (RFC 9449) to which the access token is bound, or will be when it is issued. */
  jkt?: string;
  /** The OAuth client that the user logged in with (the token's `client_id` or `azp`). */
  client?: string;
  /** The token's scopes that gateway.yaml names (RFC 6749 section 3.3). Compared byte by byte. */
  scope?: readonly string[];
  /** Every role that the token maps to. `role` of the identity is one of them. */
  roles?: readonly string[];
  /** Who acts for the caller: the token's outermost `act` (RFC 8693 section 4.1). */
  act?: Actor;
}>;

/** An actor, named `sub` by the issuer `iss`. */
export type Actor = Readonly<{ sub: string; iss: string }>;

/** A user of one tenant. */
export type UserClaims = Readonly<{ userId: string; role: string; tenantId: string }>;
/** An OAuth client with its own token, from the client-credentials grant (RFC 6749 section 4.4). */
export type ClientClaims = Readonly<{
  clientId: string;
  role?: string | undefined;
  tenantId?: string | undefined;
}>;

type Common = Readonly<{ requestId: string; context: IdentityContext }>;

export type UserIdentity = Common & UserClaims & Readonly<{ kind: 'user'; txnToken?: string }>;
export type ClientIdentity = Common & ClientClaims & Readonly<{ kind: 'client'; txnToken?: string }>;
export type AnonymousIdentity = Common & Readonly<{ kind: 'anonymous' }>;
/** The gateway itself, for example when it reads the revocation feed. */
export type GatewayIdentity = Common & Readonly<{ kind: 'gateway' }>;
/** The user or the OAuth client that a service acts for, never both. Neither is set if the service acts for itself. */
type Principal = Readonly<{ user?: UserClaims; client?: ClientClaims }>;
/** Another service on a nested call. */
export type ServiceIdentity = Common & Principal & Readonly<{ kind: 'service'; serviceId: string; txnToken?: string }>;

/** A request's caller, as the gateway signed it. */
export type Identity = UserIdentity | ClientIdentity | AnonymousIdentity | GatewayIdentity | ServiceIdentity;
export type IdentityKind = Identity['kind'];

type ContextFacts = Readonly<{ context?: Omit<IdentityContext, 'ip'> | undefined }>;

/** The part of an identity that is the same for every request of one token. */
export type IdentityClaims =
  | (ContextFacts & UserClaims & Readonly<{ kind: 'user' }>)
  | (ContextFacts & ClientClaims & Readonly<{ kind: 'client' }>)
  | (ContextFacts & Readonly<{ kind: 'anonymous' | 'gateway' }>)
  | (ContextFacts & Principal & Readonly<{ kind: 'service'; serviceId: string }>);
