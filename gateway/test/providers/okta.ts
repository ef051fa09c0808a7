import type { Shape } from './shape.ts';

export const okta: Shape = {
  name: 'okta',
  source: 'https://developer.okta.com/docs/api/openapi/okta-oauth/guides/overview/#access-token',
  yaml: `
    provider: okta
    issuer: https://acme.okta.example.test/oauth2/default
    audience: api://orders
    clients: [0oabskvc6442nkvQO0h7]
    claims: { role: { from: groups, map: { Admins: admin, Agents: agent } }, tenantId: { constant: acme } }`,
  algorithm: 'RS256',
  header: {},
  claims: {
    ver: 1,
    jti: 'AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE',
    iss: 'https://acme.okta.example.test/oauth2/default',
    aud: 'api://orders',
    sub: 'ann@example.test',
    iat: 0,
    exp: 0,
    cid: '0oabskvc6442nkvQO0h7',
    uid: '00ujmkLgagxeRrAg20g3',
    scp: ['openid', 'orders.read'],
    auth_time: 0,
    groups: ['Everyone', 'Agents'],
  },
  gives: { userId: '00ujmkLgagxeRrAg20g3', role: 'agent', tenantId: 'acme' },
  wrong: [
    {
      title: 'an ID token',
      claims: { aud: '0oabskvc6442nkvQO0h7', cid: undefined, scp: undefined, uid: undefined, nonce: 'n', at_hash: 'x' },
      code: 'token_type_refused',
    },
    { title: 'a token without scopes', claims: { scp: undefined }, code: 'token_type_refused' },
    { title: 'a token without a client', claims: { cid: undefined }, code: 'token_type_refused' },
    { title: 'a machine', claims: { uid: undefined, sub: '0oabskvc6442nkvQO0h7' }, code: 'token_machine_refused' },
    { title: 'a token without a user', claims: { uid: undefined }, code: 'token_machine_refused' },
    { title: 'another client', claims: { cid: '0oaother' }, code: 'token_client_refused' },
    {
      title: 'the org authorization server',
      claims: { iss: 'https://acme.okta.example.test' },
      code: 'token_issuer_unknown',
    },
    {
      title: 'another authorization server',
      claims: { iss: 'https://acme.okta.example.test/oauth2/aus9' },
      code: 'token_issuer_unknown',
    },
    { title: 'another audience', claims: { aud: 'api://default' }, code: 'token_audience_refused' },
    { title: 'no group of the map', claims: { groups: ['Everyone'] }, code: 'role_missing' },
    { title: 'a user id with a slash', claims: { uid: 'a/b' }, code: 'token_claims_invalid' },
  ],
};
