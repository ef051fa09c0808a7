import { everyUser, oneTenant, type Preset, present, standardClient } from './preset.ts';

export const firebase: Preset = {
  // Clients send ID tokens: https://firebase.google.com/docs/auth/admin/verify-id-tokens
  types: ['id-token'],
  // https://firebase.google.com/docs/auth/admin/verify-id-tokens#verify_id_tokens_using_a_third-party_jwt_library
  algorithms: ['RS256'],
  accessToken: undefined,
  // https://firebase.google.com/docs/rules/rules-and-auth#identify_users
  idToken: [[present('firebase'), present('auth_time')]],
  // `aud` is the project id: https://firebase.google.com/docs/auth/admin/verify-id-tokens#verify_id_tokens_using_a_third-party_jwt_library
  mayLackAudience: false,
  sharedAudiences: [],
  client: standardClient,
  machines: [],
  claims: {
    // https://firebase.google.com/docs/auth/admin/verify-id-tokens#verify_id_tokens_using_a_third-party_jwt_library
    userId: ['sub'],
    // Custom claims are at the top level: https://firebase.google.com/docs/auth/admin/custom-claims
    role: everyUser,
    // With Identity Platform, `firebase.tenant`: https://cloud.google.com/identity-platform/docs/multi-tenancy-authentication
    tenantId: oneTenant,
    sessionId: ['sid'],
    scope: ['scope'],
  },
  isOpen: false,
};
