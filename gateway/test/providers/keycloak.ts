import type { Shape } from './shape.ts';

export const keycloak: Shape = {
  name: 'keycloak',
  source: 'https://www.keycloak.org/docs/latest/server_admin/index.html#_protocol-mappers',
  yaml: `
    provider: keycloak
    issuer: https://sso.example.test/realms/acme
    audience: [account, orders-api]
    clients: [web]
    claims:
      role: { from: [realm_access, roles], map: { orders-admin: admin, orders-agent: agent } }
      tenantId: { constant: acme }`,
  algorithm: 'RS256',
  header: { typ: 'JWT' },
  claims: {
    exp: 0,
    iat: 0,
    auth_time: 0,
    jti: 'onrtac:5f6a1c2e-8a54-4c1e-9d0b-6d1f3f0d7c11',
    iss: 'https://sso.example.test/realms/acme',
    aud: 'account',
    sub: '1d3b9a52-3d5e-4b8e-9c61-0a0f6f2b9a10',
    typ: 'Bearer',
    azp: 'web',
    sid: '6f1c2a0e-7a0b-4f5b-8a57-2c1d9e3f4a21',
    acr: '1',
    'allowed-origins': ['https://app.example.test'],
    realm_access: { roles: ['offline_access', 'orders-agent', 'uma_authorization', 'default-roles-acme'] },
    resource_access: { account: { roles: ['manage-account', 'view-profile'] } },
    scope: 'openid profile email',
    email_verified: true,
    name: 'Ann Example',
    preferred_username: 'ann',
    email: 'ann@example.test',
  },
  gives: {
    userId: '1d3b9a52-3d5e-4b8e-9c61-0a0f6f2b9a10',
    role: 'agent',
    tenantId: 'acme',
    sessionId: '6f1c2a0e-7a0b-4f5b-8a57-2c1d9e3f4a21',
  },
  wrong: [
    { title: 'an ID token', claims: { typ: 'ID', at_hash: 'x', aud: 'web' }, code: 'token_type_refused' },
    { title: 'an ID token without its hash', claims: { typ: 'ID' }, code: 'token_type_refused' },
    { title: 'a list of types', claims: { typ: ['Bearer', 'ID'] }, code: 'token_type_refused' },
    { title: 'a list of one type', claims: { typ: ['Bearer'] }, code: 'token_type_refused' },
    { title: 'a refresh token', claims: { typ: 'Refresh' }, code: 'token_type_refused' },
    { title: 'an offline token', claims: { typ: 'Offline' }, code: 'token_type_refused' },
    {
      title: 'a logout token',
      header: { typ: 'logout+jwt' },
      claims: { typ: 'Logout', events: {} },
      code: 'token_type_refused',
    },
    { title: 'a token without a type', claims: { typ: undefined }, code: 'token_type_refused' },
    { title: 'another client', claims: { azp: 'admin-cli' }, code: 'token_client_refused' },
    { title: 'a client_id that differs from azp', claims: { client_id: 'other' }, code: 'token_client_refused' },
    {
      title: 'a service account',
      claims: { preferred_username: 'service-account-web', clientHost: '10.0.0.1' },
      code: 'token_machine_refused',
    },
    {
      title: 'no role of the map',
      claims: { realm_access: { roles: ['uma_authorization'] } },
      code: 'role_missing',
    },
    {
      title: 'a role in another case',
      claims: { realm_access: { roles: ['Orders-Agent'] } },
      code: 'role_missing',
    },
    { title: 'roles that are one text', claims: { realm_access: 'orders-admin' }, code: 'token_claims_invalid' },
    {
      title: 'roles with a number among them',
      claims: { realm_access: { roles: ['orders-admin', 1] } },
      code: 'token_claims_invalid',
    },
    {
      title: 'roles inside a list',
      claims: { realm_access: [{ roles: ['orders-admin'] }] },
      code: 'token_claims_invalid',
    },
    { title: 'another realm', claims: { iss: 'https://sso.example.test/realms/acme2' }, code: 'token_issuer_unknown' },
    {
      title: 'a realm with a path trick',
      claims: { iss: 'https://sso.example.test/realms/other/../acme' },
      code: 'token_issuer_unknown',
    },
  ],
};
