import { describe, expect, test } from '@jest/globals';
import { browserOriginsOf, databaseLocation, issuerOf, readAuthConfig } from './config.ts';

const key = (id: string) => `${id}:${Buffer.alloc(32, 1).toString('base64url')}`;
const secrets = { AUTH_SIGNING_KEK: key('a'), AUTH_PASSWORD_PEPPERS: key('b'), AUTH_REFRESH_MAC_KEYS: key('c') };

describe('the configuration', () => {
  test('needs its secrets and nothing else', () => {
    const config = readAuthConfig(secrets);
    expect(config).toMatchObject({ AUTH_PORT: 8081, AUTH_BCRYPT_COST: 12, AUTH_AUDIENCE: 'complaints-api' });
    expect(issuerOf(config)).toBe('http://127.0.0.1:8080');
    expect(databaseLocation(config)).toEqual({ dataDir: '.countersign/data/auth' });
  });

  test('takes the issuer from the port that clients see, unless it is named', () => {
    expect(issuerOf(readAuthConfig({ ...secrets, GATEWAY_PORT: '9999' }))).toBe('http://127.0.0.1:9999');
    expect(issuerOf(readAuthConfig({ ...secrets, AUTH_ISSUER: 'https://id.example' }))).toBe('https://id.example');
  });

  test('lets the pages use the cookie that are named, else those of its own origin', () => {
    const origins = (env: Record<string, string>) => [...browserOriginsOf(readAuthConfig({ ...secrets, ...env }))];
    expect(origins({})).toEqual(['http://127.0.0.1:8080', 'http://localhost:8080']);
    expect(origins({ AUTH_ISSUER: 'https://id.example', NODE_ENV: 'production' })).toEqual(['https://id.example']);
    expect(origins({ AUTH_BROWSER_ORIGINS: 'https://a.test, https://b.test:8443' })).toEqual([
      'https://a.test',
      'https://b.test:8443',
    ]);
  });

  test.each<[string, Record<string, string>, RegExp]>([
    ['no secrets', {}, /AUTH_SIGNING_KEK: is required[\s\S]*AUTH_REFRESH_MAC_KEYS: is required/],
    ['a short secret', { ...secrets, AUTH_SIGNING_KEK: 'a:abc' }, /AUTH_SIGNING_KEK: key 1 is not of the form/],
    ['demo accounts in production', { ...secrets, NODE_ENV: 'production', SEED_FILE: 'x' }, /SEED_FILE: .*production/],
    ['a cheap hash in production', { ...secrets, NODE_ENV: 'production', AUTH_BCRYPT_COST: '9' }, /10 or more/],
    ['a wildcard for an origin', { ...secrets, AUTH_BROWSER_ORIGINS: '*' }, /AUTH_BROWSER_ORIGINS: must be origins/],
    ['null for an origin', { ...secrets, AUTH_BROWSER_ORIGINS: 'null' }, /AUTH_BROWSER_ORIGINS/],
    ['a path in an origin', { ...secrets, AUTH_BROWSER_ORIGINS: 'https://a.test/' }, /AUTH_BROWSER_ORIGINS/],
    ['a hash cheaper than bcrypt knows', { ...secrets, AUTH_BCRYPT_COST: '3' }, /AUTH_BCRYPT_COST/],
  ])('with %s is refused', (_, env, message) => {
    expect(() => readAuthConfig(env)).toThrow(message);
  });
});
