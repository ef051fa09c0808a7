import type { Shape } from './shape.ts';

const sub = 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee';
const iss = 'https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_EXAMPLE';
const role = 'role: { from: "cognito:groups", map: { admins: admin, agents: agent } }, tenantId: { constant: acme }';

const common = {
  sub,
  'cognito:groups': ['agents'],
  iss,
  origin_jti: '5b9f50a3-05da-454a-8b99-b79c2349de77',
  event_id: '7e1cd3c8-5d6c-4a4b-9d2c-5b2f3d0c1a10',
  auth_time: 0,
  exp: 0,
  iat: 0,
  jti: 'e1b2c3d4-0000-4000-8000-000000000001',
};
const gives = { userId: sub, role: 'agent', tenantId: 'acme', sessionId: common.origin_jti };

const wrong: Shape['wrong'] = [
  {
    title: 'another pool',
    claims: { iss: 'https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_OTHER' },
    code: 'token_issuer_unknown',
  },
  {
    title: 'another region',
    claims: { iss: iss.replace('eu-central-1.', 'us-east-1.') },
    code: 'token_issuer_unknown',
  },
  { title: 'no group of the map', claims: { 'cognito:groups': ['guests'] }, code: 'role_missing' },
  { title: 'no groups', claims: { 'cognito:groups': undefined }, code: 'role_missing' },
  { title: 'a list of uses', claims: { token_use: ['access', 'id'] }, code: 'token_type_refused' },
  { title: 'no use', claims: { token_use: undefined }, code: 'token_type_refused' },
  { title: 'a session id that is a list', claims: { origin_jti: ['a'] }, code: 'token_claims_invalid' },
  { title: 'a header with a type', header: { typ: 'rt+jwt' }, code: 'token_type_refused' },
];

export const cognitoAccess: Shape = {
  name: 'cognito, access token',
  source:
    'https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html',
  yaml: `
    provider: cognito
    issuer: ${iss}
    clients: [1example23456789]
    claims: { ${role} }`,
  algorithm: 'RS256',
  header: {},
  claims: {
    ...common,
    client_id: '1example23456789',
    token_use: 'access',
    scope: 'openid phone',
    version: 2,
    username: 'ann',
  },
  gives,
  wrong: [
    ...wrong,
    {
      title: 'an ID token',
      claims: { token_use: 'id', aud: '1example23456789', client_id: undefined },
      code: 'token_type_refused',
    },
    { title: 'another client', claims: { client_id: 'other' }, code: 'token_client_refused' },
    { title: 'an azp that differs from client_id', claims: { azp: 'other' }, code: 'token_client_refused' },
    { title: 'no client', claims: { client_id: undefined }, code: 'token_client_refused' },
    {
      title: 'an audience, which no configuration names',
      claims: { aud: 'https://other.example.test' },
      code: 'token_audience_refused',
    },
    { title: 'a machine', claims: { sub: '1example23456789', username: undefined }, code: 'token_machine_refused' },
    { title: 'a token without a user name', claims: { username: undefined }, code: 'token_machine_refused' },
  ],
};

export const cognitoId: Shape = {
  name: 'cognito, ID token',
  source: 'https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-id-token.html',
  yaml: `
    provider: cognito
    issuer: ${iss}
    types: [id-token]
    audience: 1example23456789
    claims: { ${role} }`,
  algorithm: 'RS256',
  header: {},
  claims: {
    ...common,
    aud: '1example23456789',
    token_use: 'id',
    'cognito:username': 'ann',
    email: 'ann@example.test',
    email_verified: true,
    nonce: 'n-0S6_WzA2Mj',
    at_hash: '4iCL6Rd46SZ0bEZ5W2tRJw',
  },
  gives,
  wrong: [
    ...wrong,
    {
      title: 'an access token',
      claims: { token_use: 'access', aud: undefined, client_id: '1example23456789', scope: 'openid' },
      code: 'token_type_refused',
    },
    { title: 'another client', claims: { aud: 'other' }, code: 'token_audience_refused' },
    { title: 'no audience', claims: { aud: undefined }, code: 'token_audience_refused' },
    { title: 'two audiences', claims: { aud: ['1example23456789', 'other'] }, code: 'token_audience_refused' },
  ],
};
