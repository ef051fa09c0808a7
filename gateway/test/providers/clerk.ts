import type { Shape } from './shape.ts';

const common = {
  azp: 'https://app.example.test',
  exp: 0,
  iat: 0,
  iss: 'https://clerk.example.test',
  nbf: 0,
  sid: 'sess_2RBqrPVzYAJ2WpS7ZlZhj8UjWu1',
  sub: 'user_2RBqrPVzYAJ2WpS7ZlZhj8UjWu2',
};
const gives = { userId: common.sub, role: 'admin', tenantId: 'org_2RBqrPVzYAJ2WpS7ZlZhj8UjWu3', sessionId: common.sid };

const yamlOf = (role: string, tenant: string) => `
    provider: clerk
    issuer: https://clerk.example.test
    clients: ["https://app.example.test"]
    claims: { role: ${role}, tenantId: ${tenant} }`;

const wrong: Shape['wrong'] = [
  { title: 'the token of a template, without a session', claims: { sid: undefined }, code: 'token_type_refused' },
  { title: 'a pending session', claims: { sts: 'pending' }, code: 'token_type_refused' },
  { title: 'another page', claims: { azp: 'https://evil.test' }, code: 'token_client_refused' },
  {
    title: 'a page whose origin begins the same',
    claims: { azp: 'https://app.example.test.evil.test' },
    code: 'token_client_refused',
  },
  { title: 'no page', claims: { azp: undefined }, code: 'token_client_refused' },
  { title: 'an audience, which no configuration names', claims: { aud: 'other' }, code: 'token_audience_refused' },
  { title: 'an audience that is null', claims: { aud: null }, code: 'token_audience_refused' },
  { title: 'a machine', claims: { sub: 'mch_2RBqrPVzYAJ2WpS7' }, code: 'token_machine_refused' },
  { title: 'a nonce', claims: { nonce: 'n' }, code: 'token_type_refused' },
  { title: 'another instance', claims: { iss: 'https://clerk.evil.test' }, code: 'token_issuer_unknown' },
];

export const clerkV2: Shape = {
  name: 'clerk, version 2',
  source: 'https://clerk.com/docs/guides/sessions/session-tokens',
  yaml: yamlOf('{ from: [o, rol], map: { admin: admin, member: agent } }', '[o, id]'),
  algorithm: 'RS256',
  header: { typ: 'JWT', cat: 'cl_B7d4PD111AAA' },
  claims: {
    ...common,
    v: 2,
    fva: [7, -1],
    sts: 'active',
    pla: 'u:free',
    fea: 'u:basic',
    o: { id: gives.tenantId, slg: 'acme', rol: 'admin', per: 'read,manage', fpm: '3' },
  },
  gives,
  wrong: [
    ...wrong,
    { title: 'no organization', claims: { o: undefined }, code: 'role_missing' },
    {
      title: 'an organization in a list',
      claims: { o: [{ id: 'org_1', rol: 'admin' }] },
      code: 'token_claims_invalid',
    },
    { title: 'a role with its prefix', claims: { o: { id: 'org_1', rol: 'org:admin' } }, code: 'role_missing' },
  ],
};

export const clerkV1: Shape = {
  name: 'clerk, version 1',
  source: 'https://clerk.com/docs/core-1/backend-requests/resources/session-tokens',
  yaml: yamlOf('{ from: org_role, map: { "org:admin": admin, "org:member": agent } }', 'org_id'),
  algorithm: 'RS256',
  header: { typ: 'JWT' },
  claims: { ...common, org_id: gives.tenantId, org_role: 'org:admin', org_slug: 'acme', org_permissions: [] },
  gives,
  wrong: [...wrong, { title: 'no organization', claims: { org_id: undefined }, code: 'tenant_missing' }],
};
