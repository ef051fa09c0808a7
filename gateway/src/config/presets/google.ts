import { endsWith, everyUser, oneTenant, type Preset } from './preset.ts';

export const google: Preset = {
  // Access tokens are opaque, so ID tokens are all that a gateway can verify:
  // https://developers.google.com/identity/protocols/oauth2#size
  types: ['id-token'],
  // https://developers.google.com/identity/openid-connect/openid-connect#validatinganidtoken
  algorithms: ['RS256'],
  accessToken: undefined,
  // https://developers.google.com/identity/openid-connect/openid-connect#an-id-tokens-payload
  idToken: [[]],
  mayLackAudience: false,
  sharedAudiences: [],
  // https://developers.google.com/identity/openid-connect/openid-connect#an-id-tokens-payload
  client: ['azp'],
  // Any service account can get an ID token for any audience:
  // https://cloud.google.com/docs/authentication/get-id-token
  machines: [[endsWith('email', '.gserviceaccount.com')]],
  claims: {
    // https://developers.google.com/identity/openid-connect/openid-connect#an-id-tokens-payload
    userId: ['sub'],
    role: everyUser,
    tenantId: oneTenant,
    sessionId: ['sid'],
    scope: ['scope'],
  },
  // `hd` names the Workspace domain: https://developers.google.com/identity/openid-connect/openid-connect#an-id-tokens-payload
  isOpen: true,
};
