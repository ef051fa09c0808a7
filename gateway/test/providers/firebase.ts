import type { Shape } from './shape.ts';

export const firebase: Shape = {
  name: 'firebase',
  source: 'https://firebase.google.com/docs/auth/admin/verify-id-tokens',
  yaml: `
    provider: firebase
    issuer: https://securetoken.google.com/acme-prod
    audience: acme-prod
    claims: { role: { from: role, map: { admin: admin }, otherwise: user }, tenantId: { constant: acme } }`,
  algorithm: 'RS256',
  header: { typ: 'JWT' },
  claims: {
    name: 'Ann Example',
    iss: 'https://securetoken.google.com/acme-prod',
    aud: 'acme-prod',
    auth_time: 0,
    user_id: '5pxuPxYPCwYOXkQ1z0sVEPlmaF12',
    sub: '5pxuPxYPCwYOXkQ1z0sVEPlmaF12',
    iat: 0,
    exp: 0,
    email: 'ann@example.test',
    email_verified: true,
    firebase: { identities: { email: ['ann@example.test'] }, sign_in_provider: 'password' },
  },
  gives: { userId: '5pxuPxYPCwYOXkQ1z0sVEPlmaF12', role: 'user', tenantId: 'acme' },
  wrong: [
    {
      title: 'a custom token',
      claims: { iss: 'firebase-adminsdk@acme-prod.iam.gserviceaccount.com', firebase: undefined },
      code: 'token_issuer_unknown',
    },
    {
      title: 'a session cookie',
      claims: { iss: 'https://session.firebase.google.com/acme-prod' },
      code: 'token_issuer_unknown',
    },
    {
      title: 'another project',
      claims: { iss: 'https://securetoken.google.com/other', aud: 'other' },
      code: 'token_issuer_unknown',
    },
    { title: 'the audience of another project', claims: { aud: 'other' }, code: 'token_audience_refused' },
    { title: 'no sign-in', claims: { firebase: undefined }, code: 'token_type_refused' },
    { title: 'no time of the log-in', claims: { auth_time: undefined }, code: 'token_type_refused' },
    { title: 'scopes', claims: { scope: 'openid' }, code: 'token_type_refused' },
    { title: 'an access token', header: { typ: 'at+jwt' }, code: 'token_type_refused' },
    { title: 'a role that is a number', claims: { role: 1 }, code: 'token_claims_invalid' },
    { title: 'no subject', claims: { sub: undefined }, code: 'token_claims_invalid' },
  ],
};
