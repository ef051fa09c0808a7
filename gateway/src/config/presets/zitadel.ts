import { absent, everyUser, oneTenant, type Preset, present, standardClient } from './preset.ts';

export const zitadel: Preset = {
  // https://zitadel.com/docs/apis/openidoauth/claims
  types: ['JWT', 'at+jwt', 'none'],
  // https://zitadel.com/docs/guides/integrate/login/oidc/webkeys
  algorithms: ['RS256', 'ES256', 'EdDSA'],
  // Of its tokens, only JWT access tokens have `jti`: https://zitadel.com/docs/apis/openidoauth/claims
  accessToken: [[present('jti')]],
  idToken: [[absent('jti')]],
  // The ids of the project and of its applications: https://zitadel.com/docs/apis/openidoauth/scopes
  mayLackAudience: false,
  sharedAudiences: [],
  // https://zitadel.com/docs/apis/openidoauth/claims
  client: standardClient,
  // Its tokens do not mark service users.
  machines: [],
  claims: {
    // https://zitadel.com/docs/apis/openidoauth/claims
    userId: ['sub'],
    // The roles claim is an object, which is not read. An action adds a list: https://zitadel.com/docs/guides/integrate/retrieve-user-roles
    role: everyUser,
    // The scope `urn:zitadel:iam:user:resourceowner` adds the organization: https://zitadel.com/docs/apis/openidoauth/scopes
    tenantId: oneTenant,
    sessionId: ['sid'],
    scope: ['scope'],
  },
  isOpen: false,
};
