import { absent, everyUser, oneOf, oneTenant, type Preset, present, startsWith } from './preset.ts';

/** Versions 1 and 2 of the session tokens. */
export const clerk: Preset = {
  // https://clerk.com/docs/guides/sessions/manual-jwt-verification
  types: ['JWT'],
  // https://clerk.com/docs/guides/sessions/manual-jwt-verification
  algorithms: ['RS256'],
  // A pending session counts as signed out: https://clerk.com/docs/guides/sessions/session-tokens
  accessToken: [
    [present('sid'), absent('sts')],
    [present('sid'), oneOf('sts', 'active')],
  ],
  idToken: [[absent('sid')]],
  // Session tokens have no `aud`, and `azp` is the origin of the page: https://clerk.com/docs/guides/sessions/session-tokens
  mayLackAudience: true,
  sharedAudiences: [],
  client: ['azp'],
  // https://clerk.com/docs/guides/development/machine-auth/overview
  machines: [[startsWith('sub', 'mch_')]],
  claims: {
    // https://clerk.com/docs/guides/sessions/session-tokens
    userId: ['sub'],
    // The active organization is in `o` (version 2), or in `org_id` and `org_role` (version 1):
    // https://clerk.com/docs/guides/sessions/session-tokens
    role: everyUser,
    tenantId: oneTenant,
    sessionId: ['sid'],
    scope: ['scope'],
  },
  isOpen: false,
};
