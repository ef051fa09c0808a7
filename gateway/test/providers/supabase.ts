import type { Shape } from './shape.ts';

export const supabase: Shape = {
  name: 'supabase',
  source: 'https://supabase.com/docs/guides/auth/jwt-fields',
  yaml: `
    provider: supabase
    issuer: https://abcdefghijklmnopqrst.supabase.co/auth/v1
    audience: authenticated
    require: { is_anonymous: [false], role: [authenticated] }
    claims:
      role: { from: [app_metadata, role], map: { admin: admin }, otherwise: agent }
      tenantId: [app_metadata, tenant_id]`,
  algorithm: 'ES256',
  header: { typ: 'JWT' },
  claims: {
    iss: 'https://abcdefghijklmnopqrst.supabase.co/auth/v1',
    aud: 'authenticated',
    exp: 0,
    iat: 0,
    sub: '123e4567-e89b-42d3-a456-426614174000',
    role: 'authenticated',
    aal: 'aal1',
    session_id: '123e4567-e89b-42d3-a456-426614174001',
    email: 'ann@example.test',
    phone: '',
    is_anonymous: false,
    amr: [{ method: 'password', timestamp: 1_640_991_600 }],
    app_metadata: { provider: 'email', providers: ['email'], tenant_id: 'acme' },
    user_metadata: { role: 'admin', tenant_id: 'globex' },
  },
  gives: {
    userId: '123e4567-e89b-42d3-a456-426614174000',
    role: 'agent',
    tenantId: 'acme',
    sessionId: '123e4567-e89b-42d3-a456-426614174001',
  },
  wrong: [
    { title: 'an anonymous user', claims: { is_anonymous: true }, code: 'token_requirement_unmet' },
    {
      title: 'a service key',
      claims: { role: 'service_role', aud: undefined, session_id: undefined, aal: undefined },
      code: 'token_type_refused',
    },
    { title: 'the anonymous key', claims: { role: 'anon', iss: 'supabase' }, code: 'token_issuer_unknown' },
    { title: 'no session', claims: { session_id: undefined }, code: 'token_type_refused' },
    { title: 'another audience', claims: { aud: 'anon' }, code: 'token_audience_refused' },
    {
      title: 'another project',
      claims: { iss: 'https://zzzzzzzzzzzzzzzzzzzz.supabase.co/auth/v1' },
      code: 'token_issuer_unknown',
    },
    {
      title: "a tenant only in the user's metadata",
      claims: { app_metadata: { provider: 'email' } },
      code: 'tenant_missing',
    },
    {
      title: 'metadata that is a text',
      claims: { app_metadata: '{"tenant_id":"acme"}' },
      code: 'token_claims_invalid',
    },
    {
      title: 'a role that is an object',
      claims: { app_metadata: { role: {}, tenant_id: 'acme' } },
      code: 'token_claims_invalid',
    },
    { title: 'an ID token', claims: { nonce: 'n', at_hash: 'x' }, code: 'token_type_refused' },
  ],
};
