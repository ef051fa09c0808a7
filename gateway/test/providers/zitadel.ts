import type { Shape } from './shape.ts';

export const zitadel: Shape = {
  name: 'zitadel',
  source: 'https://zitadel.com/docs/apis/openidoauth/claims',
  yaml: `
    provider: zitadel
    issuer: https://acme-x1y2.zitadel.cloud
    audience: "270021512386084161"
    claims:
      role: { from: roles, map: { admin: admin, agent: agent } }
      tenantId: "urn:zitadel:iam:user:resourceowner:id"`,
  algorithm: 'RS256',
  header: { typ: 'JWT' },
  claims: {
    iss: 'https://acme-x1y2.zitadel.cloud',
    sub: '270021512386084999',
    aud: ['270021512386084222@orders', '270021512386084161'],
    azp: '270021512386084222@orders',
    exp: 0,
    iat: 0,
    nbf: 0,
    jti: '270032938310762753',
    roles: ['agent'],
    'urn:zitadel:iam:org:project:roles': { agent: { '270021512386080000': 'acme.zitadel.cloud' } },
    'urn:zitadel:iam:user:resourceowner:id': '270021512386080000',
    'urn:zitadel:iam:user:resourceowner:name': 'acme',
  },
  gives: { userId: '270021512386084999', role: 'agent', tenantId: '270021512386080000' },
  wrong: [
    { title: 'an ID token', claims: { jti: undefined, at_hash: 'x', nonce: 'n' }, code: 'token_type_refused' },
    { title: 'an ID token without its hash', claims: { jti: undefined }, code: 'token_type_refused' },
    { title: 'another project', claims: { aud: ['270021512386084222@orders'] }, code: 'token_audience_refused' },
    {
      title: 'another instance',
      claims: { iss: 'https://acme-x1y2.zitadel.cloud.evil.test' },
      code: 'token_issuer_unknown',
    },
    { title: 'roles that are an object', claims: { roles: { agent: { '1': 'acme' } } }, code: 'token_claims_invalid' },
    { title: 'no roles', claims: { roles: undefined }, code: 'role_missing' },
    {
      title: 'no organization',
      claims: { 'urn:zitadel:iam:user:resourceowner:id': undefined },
      code: 'tenant_missing',
    },
    {
      title: 'an organization that is a number',
      claims: { 'urn:zitadel:iam:user:resourceowner:id': 270_021 },
      code: 'token_claims_invalid',
    },
    { title: 'its client as the subject', claims: { sub: '270021512386084222@orders' }, code: 'token_machine_refused' },
    { title: 'a client_id that differs from azp', claims: { client_id: 'other' }, code: 'token_client_refused' },
  ],
};
