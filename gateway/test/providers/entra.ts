import type { Shape } from './shape.ts';

const tid = '72f988bf-86f1-41af-91ab-2d7cd011db47';
const other = '31537af4-6d77-4bb9-a681-d2394888ea26';
const client = '4c0f1f0a-7a0b-4f5b-8a57-2c1d9e3f4a21';
const oid = '690222be-ff1a-4d56-abd1-7e4f7d38e474';

const yamlOf = (issuer: string) => `
    provider: entra
    issuer: "${issuer}"
    template: { tid: [${tid}] }
    audience: 6e74172b-be56-4843-9ff4-e66a39bb12e3
    clients: [${client}]
    claims: { role: { from: roles, map: { Tasks.Admin: admin, Tasks.Agent: agent } } }`;

const claims = {
  aud: '6e74172b-be56-4843-9ff4-e66a39bb12e3',
  iat: 0,
  nbf: 0,
  exp: 0,
  aio: 'AXQAi/8IAAAA',
  name: 'Ann Example',
  oid,
  rh: '0.AAAA',
  roles: ['Tasks.Agent'],
  scp: 'access_as_user',
  sid: '00225eb3-2b0c-4f60-a1f6-3a3c7d0b6a02',
  sub: 'HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ',
  tid,
  uti: 'fqiBqXLPj0eQa82S-IYFAA',
};

const gives = { userId: oid, role: 'agent', tenantId: tid, sessionId: '00225eb3-2b0c-4f60-a1f6-3a3c7d0b6a02' };

const wrong: Shape['wrong'] = [
  { title: 'an ID token', claims: { aud: client, scp: undefined, nonce: 'n' }, code: 'token_type_refused' },
  { title: 'an ID token without a nonce', claims: { scp: undefined }, code: 'token_type_refused' },
  { title: 'the tid of another tenant', claims: { tid: other }, code: 'token_claims_invalid' },
  { title: 'a machine', claims: { idtyp: 'app', scp: undefined }, code: 'token_machine_refused' },
  {
    title: 'a token for Microsoft Graph',
    claims: { aud: 'https://graph.microsoft.com' },
    code: 'token_audience_refused',
  },
  {
    title: 'a tenant that is not listed',
    claims: { iss: `https://login.microsoftonline.com/${other}/v2.0`, tid: other },
    code: 'token_issuer_unknown',
  },
  {
    title: 'a host that looks alike',
    claims: { iss: `https://login.microsoftonline.com.evil.test/${tid}/v2.0` },
    code: 'token_issuer_unknown',
  },
  {
    title: 'a tenant with a path in it',
    claims: { iss: `https://login.microsoftonline.com/x/../${tid}/v2.0` },
    code: 'token_issuer_unknown',
  },
  {
    title: 'the template itself',
    claims: { iss: 'https://login.microsoftonline.com/{tid}/v2.0' },
    code: 'token_issuer_unknown',
  },
  { title: 'a role that is not in the map', claims: { roles: ['Tasks.Root'] }, code: 'role_missing' },
  { title: 'no oid', claims: { oid: undefined }, code: 'token_claims_invalid' },
];

export const entraV2: Shape = {
  name: 'entra, version 2.0',
  source: 'https://learn.microsoft.com/en-us/entra/identity-platform/access-token-claims-reference',
  yaml: yamlOf('https://login.microsoftonline.com/{tid}/v2.0'),
  algorithm: 'RS256',
  header: { typ: 'JWT' },
  claims: { ...claims, iss: `https://login.microsoftonline.com/${tid}/v2.0`, azp: client, azpacr: '0', ver: '2.0' },
  gives,
  wrong: [...wrong, { title: 'another client', claims: { azp: other }, code: 'token_client_refused' }],
};

export const entraV1: Shape = {
  name: 'entra, version 1.0',
  source: 'https://learn.microsoft.com/en-us/entra/identity-platform/access-token-claims-reference',
  yaml: yamlOf('https://sts.windows.net/{tid}/'),
  algorithm: 'RS256',
  header: { typ: 'JWT', x5t: 'i6lGk3FZzxRcUb2C3nEQ7syHJlY' },
  claims: {
    ...claims,
    iss: `https://sts.windows.net/${tid}/`,
    appid: client,
    appidacr: '0',
    acr: '1',
    amr: ['pwd', 'mfa'],
    unique_name: 'ann@example.test',
    upn: 'ann@example.test',
    ver: '1.0',
  },
  gives,
  wrong: [
    ...wrong,
    { title: 'another client', claims: { appid: other }, code: 'token_client_refused' },
    { title: 'an azp that differs from appid', claims: { azp: other }, code: 'token_client_refused' },
    {
      title: 'an issuer without its trailing slash',
      claims: { iss: `https://sts.windows.net/${tid}` },
      code: 'token_issuer_unknown',
    },
  ],
};
