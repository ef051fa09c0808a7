import {
  type ClaimPath,
  type Conditions,
  conditions,
  type SigningAlgorithm,
  type TokenType,
  type ValueSource,
} from './schema/issuers/issuer-values.ts';

/**
 * What a provider's documentation says about its tokens. A preset only holds values that the file can also set, and the
 * file overrides each of them.
 */
export type Preset = Readonly<{
  types: readonly TokenType[];
  algorithms: readonly SigningAlgorithm[];
  /** What only an access token has. Undefined: this provider's access tokens are not JWTs. */
  accessToken: Conditions | undefined;
  /** What an ID token has, where `types: [id-token]` asks for one. */
  idToken: Conditions;
  /** Whether its access tokens have no `aud`. `clients` takes its place. */
  mayLackAudience: boolean;
  /** Values of `aud` that tokens for every service have. They need `clients` or `require` besides. */
  sharedAudiences: readonly string[];
  client: readonly string[];
  machines: Conditions;
  claims: Readonly<{
    userId: ClaimPath;
    role: ValueSource;
    tenantId: ValueSource;
    sessionId: ClaimPath;
    scope: ClaimPath;
  }>;
  /** Whether anyone in the world may have an account there, so that one constant tenant needs a further claim. */
  isOpen: boolean;
}>;

/** The names of RFC 9068 and OpenID Connect Core for the client. */
export const standardClient = ['client_id', 'azp'] as const;

/** An issuer without a provider: RFC 9068, with the names of the auth-service's claims. */
const standard: Preset = {
  types: ['at+jwt'],
  algorithms: ['ES256', 'RS256', 'EdDSA'],
  accessToken: [],
  idToken: [],
  mayLackAudience: false,
  sharedAudiences: [],
  client: standardClient,
  machines: [],
  claims: {
    userId: ['user_id'],
    role: { kind: 'claim', path: ['role'] },
    tenantId: { kind: 'claim', path: ['tenant_id'] },
    sessionId: ['sid'],
    scope: ['scope'],
  },
  isOpen: false,
};

type Given = Partial<Omit<Preset, 'claims'>> & { claims?: Partial<Preset['claims']> };

/** The role and the tenant of every caller are constants, until the file reads them from claims. */
const preset = ({ claims, ...given }: Given): Preset => ({
  ...standard,
  algorithms: ['RS256'],
  ...given,
  claims: {
    ...standard.claims,
    userId: ['sub'],
    role: { kind: 'constant', value: 'user' },
    tenantId: { kind: 'constant', value: 'default' },
    ...claims,
  },
});

/** Conditions as a file writes them: one of the maps must hold. */
const oneOf = (...maps: readonly Readonly<Record<string, unknown>>[]): Conditions => conditions.parse(maps);

const keycloak = preset({
  // `at+jwt` is an option of each client: https://www.keycloak.org/docs/latest/server_admin/index.html#_client-advanced-settings
  types: ['JWT', 'at+jwt'],
  // https://www.keycloak.org/docs/latest/server_admin/index.html#realm_keys
  algorithms: ['RS256', 'ES256', 'EdDSA'],
  // The payload's `typ` is `ID` in ID tokens, `Refresh` and `Offline` in refresh tokens, `DPoP` in bound access tokens:
  // https://www.keycloak.org/docs-api/latest/javadocs/org/keycloak/util/TokenUtil.html
  accessToken: oneOf({ typ: ['Bearer', 'DPoP'] }),
  idToken: oneOf({ typ: 'ID' }),
  // Every user has roles of the client `account`: https://www.keycloak.org/docs/latest/server_admin/index.html#audience-support
  // Clients are in `azp`: https://www.keycloak.org/docs/latest/server_admin/index.html#_audience_resolve
  sharedAudiences: ['account'],
  // https://www.keycloak.org/docs/latest/server_admin/index.html#_service_accounts
  machines: oneOf({ preferred_username: { startsWith: 'service-account-' } }, { clientHost: 'present' }),
  // The usual claims: https://www.keycloak.org/docs/latest/server_admin/index.html#_protocol-mappers and #_client_scopes
  // `sid`: https://www.keycloak.org/docs/latest/server_admin/index.html#_oidc-logout
  // Roles are in `realm_access.roles` and `resource_access.CLIENT.roles`:
  // https://www.keycloak.org/docs/latest/server_admin/index.html#_role_scope_mappings
});

const auth0 = preset({
  // `at+jwt`, and `client_id` in place of `azp`, with the RFC 9068 profile of an API. `permissions` with RBAC:
  // https://auth0.com/docs/secure/tokens/access-tokens/access-token-profiles
  types: ['JWT', 'at+jwt'],
  accessToken: oneOf({ scope: 'present' }, { permissions: 'present' }, { gty: 'present' }),
  // RS256: https://auth0.com/docs/get-started/applications/signing-algorithms
  // `aud`: https://auth0.com/docs/secure/tokens/access-tokens/validate-access-tokens
  // https://auth0.com/docs/secure/tokens/id-tokens/id-token-structure
  idToken: oneOf({ scope: 'absent', permissions: 'absent', gty: 'absent' }),
  // https://auth0.com/docs/get-started/authentication-and-authorization-flow/client-credentials-flow
  machines: oneOf({ gty: 'client-credentials' }, { sub: { endsWith: '@clients' } }),
  // `sub`: https://auth0.com/docs/manage-users/user-accounts/user-profiles/user-profile-structure
  // Roles need an Action and a namespaced claim: https://auth0.com/docs/secure/tokens/json-web-tokens/create-custom-claims
  // `org_id` where people log in to an organization: https://auth0.com/docs/manage-users/organizations/using-tokens
  // `scope`: https://auth0.com/docs/get-started/apis/scopes
});

/** Versions 1.0 and 2.0 of the access tokens. */
const entra = preset({
  // https://learn.microsoft.com/en-us/entra/identity-platform/access-token-claims-reference#header-claims
  // RS256 and `aud`: https://learn.microsoft.com/en-us/entra/identity-platform/access-tokens#validate-tokens
  types: ['JWT'],
  // `scp` for users; `idtyp: app` is an optional claim; `azp` in version 2.0, `appid` in version 1.0:
  // https://learn.microsoft.com/en-us/entra/identity-platform/access-token-claims-reference#payload-claims
  accessToken: oneOf({ scp: 'present' }, { idtyp: 'app' }),
  client: ['azp', 'appid'],
  // No ID token names a client. An access token of an app may lack `scp` and `idtyp`, and have the same audience.
  // https://learn.microsoft.com/en-us/entra/identity-platform/id-token-claims-reference
  idToken: oneOf({ scp: 'absent', idtyp: 'absent', azp: 'absent', appid: 'absent' }),
  // https://learn.microsoft.com/en-us/entra/identity-platform/optional-claims-reference
  machines: oneOf({ idtyp: 'app' }),
  // App roles are in `roles`: https://learn.microsoft.com/en-us/entra/identity-platform/howto-add-app-roles-in-apps
  claims: {
    // `sub` differs from client to client, `oid` does not:
    // https://learn.microsoft.com/en-us/entra/identity-platform/claims-validation#validate-the-subject
    userId: ['oid'],
    // https://learn.microsoft.com/en-us/entra/identity-platform/claims-validation#validate-the-tenant-id
    tenantId: { kind: 'fromIssuer' },
    scope: ['scp'],
  },
});

const cognito = preset({
  // The headers have `kid` and `alg` only. Access tokens name the client in `client_id`, and have `aud` only with resource
  // binding. A client-credentials token has no user, and so no `username`:
  // https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html
  types: ['none'],
  accessToken: oneOf({ token_use: 'access' }),
  mayLackAudience: true,
  client: ['client_id'],
  machines: oneOf({ token_use: 'access', username: 'absent' }),
  // RS256: https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-tokens-verifying-a-jwt.html
  // https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-id-token.html
  idToken: oneOf({ token_use: 'id' }),
  // Groups are in `cognito:groups`:
  // https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-user-groups.html
  // Tokens that refresh one another share `origin_jti`:
  // https://docs.aws.amazon.com/cognito/latest/developerguide/token-revocation.html
  claims: { sessionId: ['origin_jti'] },
});

/** Custom authorization servers. Tokens of the org authorization server are for Okta's own API. */
const okta = preset({
  // https://developer.okta.com/docs/api/openapi/okta-oauth/guides/overview/#access-token-header
  // RS256 and `aud`: https://developer.okta.com/docs/guides/validate-access-tokens/
  types: ['none', 'at+jwt'],
  // https://developer.okta.com/docs/api/openapi/okta-oauth/guides/overview/#reserved-claims-in-the-payload-section
  accessToken: oneOf({ cid: 'present', scp: 'present' }),
  client: ['cid'],
  // https://developer.okta.com/docs/api/openapi/okta-oauth/guides/overview/#id-token-claims
  idToken: oneOf({ cid: 'absent', scp: 'absent' }),
  // "uid" is present only when a user is: https://developer.okta.com/docs/guides/implement-grant-type/clientcreds/main/
  machines: oneOf({ cid: 'present', uid: 'absent' }),
  // `sub` is the login, often an email address; `uid` never changes:
  // https://developer.okta.com/docs/api/openapi/okta-oauth/guides/overview/#reserved-claims-in-the-payload-section
  // Groups need a claim of the authorization server: https://developer.okta.com/docs/guides/customize-tokens-groups-claim/main/
  claims: { userId: ['uid'], scope: ['scp'] },
});

const google = preset({
  // Access tokens are opaque, so ID tokens are all that a gateway can verify:
  // https://developers.google.com/identity/protocols/oauth2#size
  types: ['id-token'],
  accessToken: undefined,
  // Every token is one. RS256: https://developers.google.com/identity/openid-connect/openid-connect#validatinganidtoken
  idToken: [[]],
  // `hd` names the Workspace domain: https://developers.google.com/identity/openid-connect/openid-connect#an-id-tokens-payload
  client: ['azp'],
  isOpen: true,
  // Any service account can get an ID token for any audience:
  // https://cloud.google.com/docs/authentication/get-id-token
  machines: oneOf({ email: { endsWith: '.gserviceaccount.com' } }),
});

/** Versions 1 and 2 of the session tokens. */
const clerk = preset({
  // RS256: https://clerk.com/docs/guides/sessions/manual-jwt-verification
  types: ['JWT'],
  // A pending session counts as signed out. Session tokens have no `aud`, and `azp` is the origin of the page. The active
  // organization is in `o` (version 2), or in `org_id` and `org_role` (version 1):
  // https://clerk.com/docs/guides/sessions/session-tokens
  accessToken: oneOf({ sid: 'present', sts: 'absent' }, { sid: 'present', sts: 'active' }),
  idToken: oneOf({ sid: 'absent' }),
  mayLackAudience: true,
  client: ['azp'],
  // https://clerk.com/docs/guides/development/machine-auth/overview
  machines: oneOf({ sub: { startsWith: 'mch_' } }),
});

const supabase = preset({
  // https://supabase.com/docs/guides/auth/jwts
  types: ['JWT'],
  // Asymmetric signing keys only. The legacy secret (HS256) cannot be shared safely: https://supabase.com/docs/guides/auth/signing-keys
  algorithms: ['ES256', 'RS256'],
  // `aud` is `authenticated`: https://supabase.com/docs/guides/auth/jwt-fields
  accessToken: oneOf({ session_id: 'present', aal: 'present' }),
  idToken: oneOf({ session_id: 'absent', aal: 'absent' }),
  // `role` is the database's. Only administrators can write `app_metadata`: https://supabase.com/docs/guides/auth/users
  // https://supabase.com/docs/guides/auth/sessions
  claims: { sessionId: ['session_id'] },
});

const zitadel = preset({
  types: ['JWT', 'at+jwt', 'none'],
  // https://zitadel.com/docs/guides/integrate/login/oidc/webkeys
  algorithms: ['RS256', 'ES256', 'EdDSA'],
  // Of its tokens, only JWT access tokens have `jti`. None marks service users: https://zitadel.com/docs/apis/openidoauth/claims
  accessToken: oneOf({ jti: 'present' }),
  idToken: oneOf({ jti: 'absent' }),
  // `aud` has the ids of the project and of its applications. The scope `urn:zitadel:iam:user:resourceowner` adds the
  // organization: https://zitadel.com/docs/apis/openidoauth/scopes
  // The roles claim is an object, which is not read. An action adds a list: https://zitadel.com/docs/guides/integrate/retrieve-user-roles
});

const firebase = preset({
  // Clients send ID tokens: https://firebase.google.com/docs/auth/admin/verify-id-tokens
  types: ['id-token'],
  // RS256, `sub`, and `aud` with the project id:
  // https://firebase.google.com/docs/auth/admin/verify-id-tokens#verify_id_tokens_using_a_third-party_jwt_library
  accessToken: undefined,
  // https://firebase.google.com/docs/rules/rules-and-auth#identify_users
  idToken: oneOf({ firebase: 'present', auth_time: 'present' }),
  // Custom claims are at the top level: https://firebase.google.com/docs/auth/admin/custom-claims
  // With Identity Platform, `firebase.tenant`: https://cloud.google.com/identity-platform/docs/multi-tenancy-authentication
});

export const presets = { keycloak, auth0, entra, cognito, okta, google, clerk, supabase, zitadel, firebase } as const;

/** The providers that have a preset. */
export type Provider = keyof typeof presets;
export const providers = Object.keys(presets) as readonly Provider[];

export const presetOf = (provider: Provider | undefined): Preset =>
  provider === undefined ? standard : presets[provider];
