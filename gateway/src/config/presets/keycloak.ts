import { everyUser, oneOf, oneTenant, type Preset, present, standardClient, startsWith } from './preset.ts';

export const keycloak: Preset = {
  // `at+jwt` is an option of each client: https://www.keycloak.org/docs/latest/server_admin/index.html#_client-advanced-settings
  types: ['JWT', 'at+jwt'],
  // https://www.keycloak.org/docs/latest/server_admin/index.html#realm_keys
  algorithms: ['RS256', 'ES256', 'EdDSA'],
  // The payload's `typ` is `ID` in ID tokens, `Refresh` and `Offline` in refresh tokens, `DPoP` in bound access tokens:
  // https://www.keycloak.org/docs-api/latest/javadocs/org/keycloak/util/TokenUtil.html
  accessToken: [[oneOf('typ', 'Bearer', 'DPoP')]],
  idToken: [[oneOf('typ', 'ID')]],
  // https://www.keycloak.org/docs/latest/server_admin/index.html#audience-support
  mayLackAudience: false,
  // Every user has roles of the client `account`: https://www.keycloak.org/docs/latest/server_admin/index.html#audience-support
  sharedAudiences: ['account'],
  // https://www.keycloak.org/docs/latest/server_admin/index.html#_audience_resolve
  client: standardClient,
  // https://www.keycloak.org/docs/latest/server_admin/index.html#_service_accounts
  machines: [[startsWith('preferred_username', 'service-account-')], [present('clientHost')]],
  claims: {
    // https://www.keycloak.org/docs/latest/server_admin/index.html#_protocol-mappers
    userId: ['sub'],
    // Roles are in `realm_access.roles` and `resource_access.CLIENT.roles`:
    // https://www.keycloak.org/docs/latest/server_admin/index.html#_role_scope_mappings
    role: everyUser,
    tenantId: oneTenant,
    // https://www.keycloak.org/docs/latest/server_admin/index.html#_oidc-logout
    sessionId: ['sid'],
    // https://www.keycloak.org/docs/latest/server_admin/index.html#_client_scopes
    scope: ['scope'],
  },
  isOpen: false,
};
