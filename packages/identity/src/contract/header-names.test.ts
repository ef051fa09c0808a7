import { expect, test } from '@jest/globals';
import { contractHeaders, foldHeaderName, isIdentityHeader, isReservedHeader } from './header-names.ts';

test.each(contractHeaders)('%s is an identity header and reserved', (name) => {
  expect(isIdentityHeader(name)).toBe(true);
  expect(isReservedHeader(name)).toBe(true);
});

test.each(['X_User_Id', 'X.User.Id', 'X-User_Id', 'x user id', 'X\u00e4User\u00e4Id'])(
  '%s folds to x-user-id',
  (name) => {
    expect(foldHeaderName(name)).toBe('x-user-id');
  },
);

test.each([
  'x-identity-refused',
  'x-identity-unavailable',
  'x-user-email',
  'x-username',
  'x-tenant',
  'x-service-name',
  'x-forwarded-for',
  'x-forwarded',
  'x-original-url',
  'x-rewrite-url',
  'x-middleware-subrequest',
  'forwarded',
  'x-real-ip',
  'true-client-ip',
  'x-client-ip',
  'remote-user',
  'x-remote-user',
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
  'script-name',
  'path-info',
  'proxy',
  'client-cert',
  'client-cert-chain',
  'x-client-cert',
  'x-client-cert-fingerprint',
  'ssl-client-verify',
  'ssl-client-cert',
  'x-ssl-client-s-dn',
  'x-arr-clientcert',
  'x-auth-request-user',
  'x-auth-request-email',
  'x-ms-client-principal',
  'x-ms-client-principal-id',
  'x-amzn-oidc-identity',
  'x-amzn-oidc-data',
  'x-goog-iap-jwt-assertion',
  'x-goog-authenticated-user-email',
  'cf-connecting-ip',
  'cf-access-authenticated-user-email',
  'cf-access-jwt-assertion',
  'impersonate-user',
  'impersonate-extra-scopes',
])('%s is reserved', (name) => {
  expect(isReservedHeader(name)).toBe(true);
});

test.each([
  'accept',
  'content-type',
  'x-custom',
  'traceparent',
  'cookie',
  'authorization',
  'signature-agent',
  'proxy-status',
  'xuser',
  'x-client-id-2',
  'x-client-name',
  'x-client',
  'client-id',
  'ssl-session-id',
  'x-auth',
  'x-auth-token',
  'x-amzn-trace-id',
  'x-goog-api-key',
  'cf-ray',
  'cf-ipcountry',
  'x-ms-version',
])('%s is not reserved', (name) => {
  expect(isReservedHeader(name)).toBe(false);
  expect(isIdentityHeader(name)).toBe(false);
});
