/** JOSE names of the signing algorithms that an issuer may use. Symmetric ones are excluded: verification would need the issuer's secret. */
export const signingAlgorithms = [
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
] as const;

/** The providers that have a preset. */
export const providers = [
  'keycloak',
  'auth0',
  'entra',
  'cognito',
  'okta',
  'google',
  'clerk',
  'supabase',
  'zitadel',
  'firebase',
] as const;
export type Provider = (typeof providers)[number];

/** The accepted values of the header `typ`. `none`: no `typ`. `id-token`: ID tokens, and no other tokens. */
export const tokenTypes = ['at+jwt', 'JWT', 'none', 'id-token'] as const;
export type TokenType = (typeof tokenTypes)[number];

/** The name of a claim, followed by names of members inside it. */
export type ClaimPath = readonly string[];

/** A value of a claim that a condition can name. */
export type Scalar = string | number | boolean;

/** A test of one claim. A list of the token passes if one of its items does. */
export type Expected =
  | Readonly<{ is: 'oneOf'; values: readonly Scalar[] }>
  | Readonly<{ is: 'present' }>
  | Readonly<{ is: 'absent' }>
  | Readonly<{ is: 'startsWith' | 'endsWith'; text: string }>;

export type Condition = Readonly<{ claim: string; expected: Expected }>;

/** Alternatives, of which one must hold. All conditions of an alternative must hold. */
export type Conditions = readonly (readonly Condition[])[];

/** Where a role or a tenant comes from. */
export type ValueSource =
  | Readonly<{ kind: 'constant'; value: string }>
  | Readonly<{ kind: 'claim'; path: ClaimPath }>
  /** `map` keeps the order of the file: the first entry that the token has wins. `otherwise` undefined: the token is refused. */
  | Readonly<{
      kind: 'mapped';
      path: ClaimPath;
      map: readonly (readonly [from: string, to: string])[];
      otherwise: string | undefined;
    }>
  /** The variable of the issuer's template. A preset does not name it. */
  | Readonly<{ kind: 'fromIssuer'; variable?: string }>;

/** How an issuer marks tokens that belong to a machine, and whether the gateway accepts them. */
type Machines = Readonly<{
  isAccepted: boolean;
  /** Empty: no condition. A token whose subject is its client is always a machine's. */
  when: Conditions;
  /** Undefined: machines have none. */
  role: ValueSource | undefined;
  tenantId: ValueSource | undefined;
}>;

/** What is kept of a token because a route or a service asks for it. */
export type KeptClaims = Readonly<{
  /** The known scopes. Other scopes of a token are dropped. */
  scopes: ReadonlySet<string>;
  /** The claims of `allow.claims`. */
  claims: readonly string[];
}>;

/** An issuer of tokens, and the claims that its tokens may have. Plain data, because the loading thread sends it to the main thread. */
export type Issuer = Readonly<{
  /** Compared with `iss` byte by byte. With a template for any value, it contains the variable in braces. */
  issuer: string;
  /** For logs. */
  name: string | undefined;
  provider: Provider | undefined;
  /** The variable of `issuer`. `value` undefined: any value, read from `iss`. */
  template: Readonly<{ variable: string; value: string | undefined }> | undefined;
  /** The accepted values of `aud`. Empty: only tokens without `aud` are accepted. */
  audience: readonly string[];
  /** Whether a token may lack `aud`, because this provider's tokens have none. Requires `clients`. */
  mayLackAudience: boolean;
  /** The accepted clients. Undefined: any. */
  clients: readonly string[] | undefined;
  /** A URL, or the absolute path of a file. With `discovery`, the URL of the metadata document. */
  jwks: string;
  /** `jwks` for operators, with the names of variables in place of their values. */
  shownJwks: string;
  discovery: boolean;
  algorithms: readonly (typeof signingAlgorithms)[number][];
  types: readonly TokenType[];
  /** Conditions on an access token (or an ID token) whose header does not state its kind. */
  typeTest: Conditions;
  require: Conditions;
  claims: Readonly<{
    userId: ClaimPath;
    role: ValueSource;
    tenantId: ValueSource;
    sessionId: ClaimPath;
    scope: ClaimPath;
    /** The names of claims with the client. All that are present must be equal. */
    client: readonly string[];
  }>;
  /** `base64url`: the user id is the encoded value. */
  subjectEncoding: 'none' | 'base64url';
  userPrefix: string;
  tenantPrefix: string;
  machines: Machines;
  kept: KeptClaims;
  /** Whether RFC 9068 applies in full: `jti` and well-formed `amr` are required. */
  isStrict: boolean;
  maxTokenLifetimeSec: number;
  /** The tenants that its tokens may name. Undefined: any, which only a single issuer may have. */
  tenants: ReadonlySet<string> | undefined;
  roles: ReadonlySet<string> | undefined;
  revocations:
    | Readonly<{
        url: string;
        /** `url` for operators, with the names of variables in place of their values. */
        shownUrl: string;
        maxStalenessMs: number;
        onStale: 'allow' | 'deny';
      }>
    | undefined;
}>;
