import type { Shape } from './shape.ts';

const client = '407408718192-web.apps.googleusercontent.com';

export const google: Shape = {
  name: 'google',
  source: 'https://developers.google.com/identity/openid-connect/openid-connect#an-id-tokens-payload',
  yaml: `
    provider: google
    issuer: https://accounts.google.com
    audience: ${client}
    require: { hd: [example.test], email_verified: true }
    claims: { tenantId: { constant: acme } }`,
  algorithm: 'RS256',
  header: { typ: 'JWT' },
  claims: {
    iss: 'https://accounts.google.com',
    azp: client,
    aud: client,
    sub: '110169484474386276334',
    at_hash: 'HK6E_P6Dh8Y93mRNtsDB1Q',
    hd: 'example.test',
    email: 'ann@example.test',
    email_verified: true,
    name: 'Ann Example',
    iat: 0,
    exp: 0,
    nonce: '0394852-3190485-2490358',
  },
  gives: { userId: '110169484474386276334', role: 'user', tenantId: 'acme' },
  wrong: [
    { title: 'a private account', claims: { hd: undefined }, code: 'token_requirement_unmet' },
    { title: 'another domain', claims: { hd: 'example.test.evil.test' }, code: 'token_requirement_unmet' },
    { title: 'a domain in another case', claims: { hd: 'EXAMPLE.test' }, code: 'token_requirement_unmet' },
    { title: 'an unverified address', claims: { email_verified: false }, code: 'token_requirement_unmet' },
    { title: 'a verified address that is a text', claims: { email_verified: 'true' }, code: 'token_requirement_unmet' },
    { title: 'another client', claims: { aud: 'other.apps.googleusercontent.com' }, code: 'token_audience_refused' },
    { title: 'two clients', claims: { aud: [client, 'other'], azp: 'other' }, code: 'token_audience_refused' },
    {
      title: 'a service account',
      claims: { email: 'ci@project.iam.gserviceaccount.com' },
      code: 'token_machine_refused',
    },
    { title: 'an access token', header: { typ: 'at+jwt' }, code: 'token_type_refused' },
    { title: 'scopes', claims: { scope: 'openid' }, code: 'token_type_refused' },
    { title: 'a security event', claims: { events: {} }, code: 'token_type_refused' },
    { title: 'the issuer without its scheme', claims: { iss: 'accounts.google.com' }, code: 'token_issuer_unknown' },
  ],
};
