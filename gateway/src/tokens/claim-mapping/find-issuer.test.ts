import { generateKeyPairSync } from 'node:crypto';
import { keyIssuer, staticKeySet } from '@countersign/jwks';
import { mintIssuer } from '@countersign/testing';
import { describe, expect, test } from '@jest/globals';
import { exampleIssuer } from '../../../test/kit/example-issuer.ts';
import { createTokenVerifier } from '../verify-access-token.ts';
import { findIssuer } from './find-issuer.ts';

const text = 'https://login.microsoftonline.com/{tid}/v2.0';
const template = exampleIssuer({ issuer: text, template: { variable: 'tid', value: undefined } });
const issuers = new Map([[template.issuer, { config: template }]]);

describe('an issuer with any tenant', () => {
  test.each([
    'https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0',
    'https://login.microsoftonline.com/a/v2.0',
  ])('is found for %s', (iss) => {
    expect(findIssuer(issuers, iss)?.config).toBe(template);
  });

  test.each([
    text,
    'https://login.microsoftonline.com//v2.0',
    'https://login.microsoftonline.com/v2.0',
    'https://login.microsoftonline.com/a/b/v2.0',
    'https://login.microsoftonline.com/a%2fb/v2.0',
    'https://login.microsoftonline.com/../v2.0',
    'https://login.microsoftonline.com/a.b/v2.0',
    'https://login.microsoftonline.com/a@evil.test/v2.0',
    'https://login.microsoftonline.com/a?x=/v2.0',
    'https://login.microsoftonline.com/a#/v2.0',
    'https://login.microsoftonline.com/a/v2.0/',
    'https://login.microsoftonline.com/a/v2.0?x',
    'https://LOGIN.microsoftonline.com/a/v2.0',
    'http://login.microsoftonline.com/a/v2.0',
    'https://login.microsoftonline.com.evil.test/a/v2.0',
    'https://evil.test/https://login.microsoftonline.com/a/v2.0',
    'https://login.microsoftonline.com/а/v2.0',
    'https://login.microsoftonline.com/a\n/v2.0',
    `https://login.microsoftonline.com/${'a'.repeat(65)}/v2.0`,
    'constructor',
    '__proto__',
  ])('is not found for %j', (iss) => {
    expect(findIssuer(issuers, iss)).toBeUndefined();
  });

  test("accepts the tenant's keys and the keys for all tenants, and no key of another tenant", async () => {
    const signer = await mintIssuer();
    const iss = 'https://login.microsoftonline.com/tenant-a/v2.0';
    const config = exampleIssuer({
      ...template,
      claims: { ...template.claims, tenantId: { kind: 'fromIssuer', variable: 'tid' } },
    });
    const codeWith = async (issuer: string | undefined) => {
      const [jwk] = signer.jwks.keys;
      const keys = staticKeySet({ keys: [{ ...jwk, issuer }] }, { algorithms: ['ES256'] });
      const verify = createTokenVerifier(new Map([[text, { config, keys, revocations: undefined }]]), Date.now);
      const token = await signer.accessToken({ iss, tid: 'tenant-a' });
      return verify(token).then(
        ({ claims }) => [claims.tenantId, claims.issuer],
        (error: { code: string }) => error.code,
      );
    };
    expect(await codeWith(undefined)).toEqual(['tenant-a', iss]);
    expect(await codeWith('https://login.microsoftonline.com/{tenantid}/v2.0')).toEqual(['tenant-a', iss]);
    expect(await codeWith(iss)).toEqual(['tenant-a', iss]);
    expect(await codeWith('https://login.microsoftonline.com/tenant-b/v2.0')).toBe('token_key_unknown');
  });
});

test('a key without the member `issuer` has no issuer', () => {
  expect(keyIssuer(generateKeyPairSync('ed25519').publicKey)).toBeUndefined();
});
