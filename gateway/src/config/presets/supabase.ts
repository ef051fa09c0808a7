import { absent, everyUser, oneTenant, type Preset, present, standardClient } from './preset.ts';

export const supabase: Preset = {
  // https://supabase.com/docs/guides/auth/jwts
  types: ['JWT'],
  // Asymmetric signing keys only. The legacy secret (HS256) cannot be shared safely: https://supabase.com/docs/guides/auth/signing-keys
  algorithms: ['ES256', 'RS256'],
  // https://supabase.com/docs/guides/auth/jwt-fields
  accessToken: [[present('session_id'), present('aal')]],
  idToken: [[absent('session_id'), absent('aal')]],
  // `aud` is `authenticated`: https://supabase.com/docs/guides/auth/jwt-fields
  mayLackAudience: false,
  sharedAudiences: [],
  client: standardClient,
  machines: [],
  claims: {
    // https://supabase.com/docs/guides/auth/jwt-fields
    userId: ['sub'],
    // `role` is the database's. Only administrators can write `app_metadata`: https://supabase.com/docs/guides/auth/users
    role: everyUser,
    tenantId: oneTenant,
    // https://supabase.com/docs/guides/auth/sessions
    sessionId: ['session_id'],
    scope: ['scope'],
  },
  isOpen: false,
};
