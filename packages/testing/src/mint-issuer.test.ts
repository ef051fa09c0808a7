import { expect, test } from '@jest/globals';
import { createLocalJWKSet, jwtVerify } from 'jose';
import { mintIssuer } from './mint-issuer.ts';

test('creates a token that verifies with its key set, and omits a claim on request', async () => {
  const issuer = await mintIssuer();
  const token = await issuer.accessToken({ role: 'admin', jti: undefined });
  const { payload, protectedHeader } = await jwtVerify(token, createLocalJWKSet(issuer.jwks), {
    issuer: issuer.issuer,
  });
  expect(payload).toMatchObject({ role: 'admin', aud: 'complaints-api' });
  expect(payload).not.toHaveProperty('jti');
  expect(protectedHeader).toEqual({ alg: 'ES256', typ: 'at+jwt', kid: issuer.kid });
});
