import type { Shape } from './shape.ts';

const wrong: Shape['wrong'] = [
  {
    title: 'an ID token',
    claims: { aud: 'kX9webclient', scope: undefined, permissions: undefined, nonce: 'n' },
    code: 'token_type_refused',
  },
  {
    title: "an ID token with the API's audience",
    claims: { scope: undefined, permissions: undefined },
    code: 'token_type_refused',
  },
  {
    title: 'a token for the management API',
    claims: { aud: 'https://acme.eu.auth0.com/api/v2/' },
    code: 'token_audience_refused',
  },
  { title: 'another client', claims: { azp: 'other', client_id: 'other' }, code: 'token_client_refused' },
  {
    title: 'a machine',
    claims: { gty: 'client-credentials', sub: 'kX9webclient@clients' },
    code: 'token_machine_refused',
  },
  { title: 'the subject of a machine', claims: { sub: 'kX9webclient@clients' }, code: 'token_machine_refused' },
  { title: 'another Auth0 tenant', claims: { iss: 'https://evil.eu.auth0.com/' }, code: 'token_issuer_unknown' },
  {
    title: 'an issuer without its trailing slash',
    claims: { iss: 'https://acme.eu.auth0.com' },
    code: 'token_issuer_unknown',
  },
  {
    title: 'a role that is not in the map',
    claims: { 'https://orders.example.test/roles': ['root'] },
    code: 'role_missing',
  },
  {
    title: 'a role that is an object',
    claims: { 'https://orders.example.test/roles': { admin: true } },
    code: 'token_claims_invalid',
  },
  { title: 'an organization of another shape', claims: { org_id: ['org_1'] }, code: 'token_claims_invalid' },
];

const yaml = `
    provider: auth0
    issuer: https://acme.eu.auth0.com/
    audience: https://orders.example.test
    clients: [kX9webclient]
    claims:
      role: { from: "https://orders.example.test/roles", map: { Admin: admin, Agent: agent } }
      tenantId: org_id`;

const claims = {
  iss: 'https://acme.eu.auth0.com/',
  sub: 'auth0|64f1c2a0e7a0b4f5b8a572c1',
  aud: ['https://orders.example.test', 'https://acme.eu.auth0.com/userinfo'],
  iat: 0,
  exp: 0,
  scope: 'openid profile read:orders',
  org_id: 'org_9ybsU1dN2dKfDkBi',
  permissions: ['read:orders'],
  'https://orders.example.test/roles': ['Agent'],
};

const gives = { userId: 'auth0|64f1c2a0e7a0b4f5b8a572c1', role: 'agent', tenantId: 'org_9ybsU1dN2dKfDkBi' };

export const auth0: Shape = {
  name: 'auth0',
  source: 'https://auth0.com/docs/secure/tokens/access-tokens/access-token-profiles',
  yaml,
  algorithm: 'RS256',
  header: { typ: 'JWT' },
  claims: { ...claims, azp: 'kX9webclient' },
  gives,
  wrong,
};

export const auth0Rfc9068: Shape = {
  name: 'auth0 with the RFC 9068 profile',
  source: 'https://auth0.com/docs/secure/tokens/access-tokens/access-token-profiles',
  yaml,
  algorithm: 'RS256',
  header: { typ: 'at+jwt' },
  claims: { ...claims, client_id: 'kX9webclient', jti: 'x7PqT0a9' },
  gives,
  wrong: [
    {
      title: 'an ID token',
      header: { typ: 'JWT' },
      claims: { scope: undefined, permissions: undefined },
      code: 'token_type_refused',
    },
    { title: 'an at_hash', claims: { at_hash: 'x' }, code: 'token_type_refused' },
    ...wrong.slice(2),
  ],
};
