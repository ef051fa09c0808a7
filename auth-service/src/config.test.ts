import { generateKeyPairSync } from 'node:crypto';
import { databaseOf } from '@countersign/database';
import { describe, expect, test } from '@jest/globals';
import { browserOriginsOf, issuerOf, linkBaseOf, readAuthConfig } from './config.ts';

const key = (id: string) => `${id}:${Buffer.alloc(32, 1).toString('base64url')}`;
const secrets = {
  AUTH_SIGNING_KEK: key('a'),
  AUTH_PASSWORD_PEPPERS: key('b'),
  AUTH_REFRESH_MAC_KEYS: key('c'),
  SERVICE_KEY: JSON.stringify({ ...generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }), kid: 'k' }),
};

const production = {
  NODE_ENV: 'production',
  AUTH_SMTP_URL: 'smtps://mail.example',
  AUTH_MAIL_FROM: 'id@example.test',
  DATABASE_URL: 'postgres://db.example.test/postgres',
};

describe('the auth-service configuration', () => {
  test('requires only the secrets', () => {
    const config = readAuthConfig(secrets);
    expect(config).toMatchObject({ AUTH_PORT: 8081, AUTH_BCRYPT_COST: 12, AUTH_AUDIENCE: 'complaints-api' });
    expect(issuerOf(config)).toBe('http://127.0.0.1:8080');
    expect(databaseOf('auth', config.AUTH_DATABASE_URL, config).location).toEqual({
      dataDir: '.countersign/data/auth',
    });
  });

  test('derives the issuer from the gateway port unless AUTH_ISSUER is set', () => {
    expect(issuerOf(readAuthConfig({ ...secrets, GATEWAY_PORT: '9999' }))).toBe('http://127.0.0.1:9999');
    expect(issuerOf(readAuthConfig({ ...secrets, AUTH_ISSUER: 'https://id.example' }))).toBe('https://id.example');
  });

  test('accepts the cookie from the configured origins, or from its own origin by default', () => {
    const origins = (env: Record<string, string>) => [...browserOriginsOf(readAuthConfig({ ...secrets, ...env }))];
    expect(origins({})).toEqual(['http://127.0.0.1:8080', 'http://localhost:8080']);
    expect(origins({ ...production, AUTH_ISSUER: 'https://id.example' })).toEqual(['https://id.example']);
    expect(origins({ AUTH_BROWSER_ORIGINS: 'https://a.test, https://b.test:8443' })).toEqual([
      'https://a.test',
      'https://b.test:8443',
    ]);
  });

  test('builds links only from the configuration', () => {
    expect(linkBaseOf(readAuthConfig({ ...secrets, GATEWAY_PORT: '9999' }))).toBe('http://127.0.0.1:9999');
    expect(linkBaseOf(readAuthConfig({ ...secrets, AUTH_LINK_BASE_URL: 'https://app.example/x/' }))).toBe(
      'https://app.example/x',
    );
  });

  test.each<[string, Record<string, string>, RegExp]>([
    ['missing secrets', {}, /AUTH_SIGNING_KEK: is required[\s\S]*AUTH_REFRESH_MAC_KEYS: is required/],
    ['a short secret', { ...secrets, AUTH_SIGNING_KEK: 'a:abc' }, /AUTH_SIGNING_KEK: key 1 must have the form/],
    ['demo accounts in production', { ...secrets, NODE_ENV: 'production', SEED_FILE: 'x' }, /SEED_FILE: .*production/],
    ['a low bcrypt cost in production', { ...secrets, NODE_ENV: 'production', AUTH_BCRYPT_COST: '9' }, /10 or more/],
    [
      'a wildcard for an origin',
      { ...secrets, AUTH_BROWSER_ORIGINS: '*' },
      /AUTH_BROWSER_ORIGINS: must be comma-separated origins/,
    ],
    ['null for an origin', { ...secrets, AUTH_BROWSER_ORIGINS: 'null' }, /AUTH_BROWSER_ORIGINS/],
    ['a path in an origin', { ...secrets, AUTH_BROWSER_ORIGINS: 'https://a.test/' }, /AUTH_BROWSER_ORIGINS/],
    ['a cost below the minimum of bcrypt', { ...secrets, AUTH_BCRYPT_COST: '3' }, /AUTH_BCRYPT_COST/],
    [
      'a missing mail server in production',
      { ...secrets, NODE_ENV: 'production' },
      /AUTH_SMTP_URL: is required in production/,
    ],
    ['a missing sender address in production', { ...secrets, NODE_ENV: 'production' }, /AUTH_MAIL_FROM: is required/],
    [
      'PGlite in production',
      { ...secrets, ...production, DATABASE_URL: '' },
      /^DATABASE_URL: is required in production, or AUTH_DATABASE_URL: the built-in PGlite is for development$/,
    ],
    ['a mail URL that is not SMTP', { ...secrets, AUTH_SMTP_URL: 'https://mail.example' }, /AUTH_SMTP_URL/],
    ['an invalid base URL for links', { ...secrets, AUTH_LINK_BASE_URL: 'javascript:alert(1)' }, /AUTH_LINK_BASE_URL/],
    ['admin as the role of new accounts', { ...secrets, AUTH_REGISTRATION_ROLE: 'admin' }, /must not be admin/],
    ['a malformed key', { ...secrets, SERVICE_KEY: '{}' }, /SERVICE_KEY: must be an ed25519 private JWK/],
  ])('refuses %s', (_, env, message) => {
    expect(() => readAuthConfig(env)).toThrow(message);
  });
});
