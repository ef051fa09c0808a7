import { absent, endsWith, everyUser, oneOf, oneTenant, type Preset, present, standardClient } from './preset.ts';

export const auth0: Preset = {
  // `at+jwt` with the RFC 9068 profile of an API: https://auth0.com/docs/secure/tokens/access-tokens/access-token-profiles
  types: ['JWT', 'at+jwt'],
  // https://auth0.com/docs/get-started/applications/signing-algorithms
  algorithms: ['RS256'],
  // `permissions` with RBAC: https://auth0.com/docs/secure/tokens/access-tokens/access-token-profiles
  accessToken: [[present('scope')], [present('permissions')], [present('gty')]],
  // https://auth0.com/docs/secure/tokens/id-tokens/id-token-structure
  idToken: [[absent('scope'), absent('permissions'), absent('gty')]],
  // https://auth0.com/docs/secure/tokens/access-tokens/validate-access-tokens
  mayLackAudience: false,
  sharedAudiences: [],
  // `azp`, or `client_id` with the RFC 9068 profile: https://auth0.com/docs/secure/tokens/access-tokens/access-token-profiles
  client: standardClient,
  // https://auth0.com/docs/get-started/authentication-and-authorization-flow/client-credentials-flow
  machines: [[oneOf('gty', 'client-credentials')], [endsWith('sub', '@clients')]],
  claims: {
    // https://auth0.com/docs/manage-users/user-accounts/user-profiles/user-profile-structure
    userId: ['sub'],
    // Roles need an Action and a namespaced claim: https://auth0.com/docs/secure/tokens/json-web-tokens/create-custom-claims
    role: everyUser,
    // `org_id` where people log in to an organization: https://auth0.com/docs/manage-users/organizations/using-tokens
    tenantId: oneTenant,
    sessionId: ['sid'],
    // https://auth0.com/docs/get-started/apis/scopes
    scope: ['scope'],
  },
  isOpen: false,
};
