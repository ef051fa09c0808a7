import { absent, everyUser, oneOf, type Preset, present } from './preset.ts';

/** Versions 1.0 and 2.0 of the access tokens. */
export const entra: Preset = {
  // https://learn.microsoft.com/en-us/entra/identity-platform/access-token-claims-reference#header-claims
  types: ['JWT'],
  // https://learn.microsoft.com/en-us/entra/identity-platform/access-tokens#validate-the-signature
  algorithms: ['RS256'],
  // `scp` for users; `idtyp: app` is an optional claim:
  // https://learn.microsoft.com/en-us/entra/identity-platform/access-token-claims-reference#payload-claims
  accessToken: [[present('scp')], [oneOf('idtyp', 'app')]],
  // No ID token names a client. An access token of an app may lack `scp` and `idtyp`, and have the same audience.
  // https://learn.microsoft.com/en-us/entra/identity-platform/id-token-claims-reference
  idToken: [[absent('scp'), absent('idtyp'), absent('azp'), absent('appid')]],
  // https://learn.microsoft.com/en-us/entra/identity-platform/access-tokens#validate-tokens
  mayLackAudience: false,
  sharedAudiences: [],
  // `azp` in version 2.0, `appid` in version 1.0:
  // https://learn.microsoft.com/en-us/entra/identity-platform/access-token-claims-reference#payload-claims
  client: ['azp', 'appid'],
  // https://learn.microsoft.com/en-us/entra/identity-platform/optional-claims-reference
  machines: [[oneOf('idtyp', 'app')]],
  claims: {
    // `sub` differs from client to client, `oid` does not:
    // https://learn.microsoft.com/en-us/entra/identity-platform/claims-validation#validate-the-subject
    userId: ['oid'],
    // App roles are in `roles`: https://learn.microsoft.com/en-us/entra/identity-platform/howto-add-app-roles-in-apps
    role: everyUser,
    // https://learn.microsoft.com/en-us/entra/identity-platform/claims-validation#validate-the-tenant-id
    tenantId: { kind: 'fromIssuer' },
    // https://learn.microsoft.com/en-us/entra/identity-platform/access-token-claims-reference#payload-claims
    sessionId: ['sid'],
    scope: ['scp'],
  },
  isOpen: false,
};
