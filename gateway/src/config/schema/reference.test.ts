import { describe, expect, test } from '@jest/globals';
import { routesOn } from '../../routing/route-table.ts';
import { loadConfig } from '../load.ts';
import { referenceTable } from './json-schema.ts';

const root = new URL('../../../../', import.meta.url);
describe('the reference table', () => {
  test('describes every key', () => {
    const silent = referenceTable()
      .split('\n')
      .filter((line) => line.endsWith('|  |'));
    expect(silent).toEqual([]);
  });
});

describe('infra/gateway.yaml', () => {
  const file = new URL('infra/gateway.yaml', root).pathname;

  test('is valid without variables, and keeps its keys in the directory of `npm start`', () => {
    const config = loadConfig(file, {});
    expect(config.identity.keysDir).toBe(new URL('.countersign/gateway-keys', root).pathname);
    expect(config.redis).toBeUndefined();
    expect([...config.upstreams.keys()]).toEqual([
      'auth-service',
      'users-service',
      'complaint-service',
      'web',
      'echo',
      'my-service',
      'mcp-server',
    ]);
  });

  test('follows its variables', () => {
    const config = loadConfig(file, {
      GATEWAY_PORT: '18080',
      USERS_PORT: '18082',
      COUNTERSIGN_HOME: '/srv/countersign',
      REDIS_URL: 'redis://127.0.0.1:6379',
    });
    expect(config.listen.public.port).toBe(18_080);
    expect(config.publicOrigins).toEqual(['http://127.0.0.1:18080', 'http://localhost:18080']);
    expect(config.issuers[0]?.issuer).toBe('http://127.0.0.1:18080');
    expect(config.upstreams.get('users-service')?.targets).toEqual(['http://127.0.0.1:18082']);
    expect(config.identity.keysDir).toBe('/srv/countersign/gateway-keys');
    expect(config.redis).toBe('redis://127.0.0.1:6379');
  });

  test('publishes no internal service path', () => {
    const paths = routesOn('public', loadConfig(file, {})).map((route) => route.path);
    expect(paths.filter((path) => /internal|metrics|healthz|readyz/.test(path))).toEqual([]);
    // Everything below these paths is for users: `web` serves only files there, and an account page answers unknown
    // paths below its own. A wildcard higher up could match anything.
    expect(paths.filter((path) => path.endsWith('**'))).toEqual([
      ...['forgot-password', 'reset-password', 'register', 'verify-email', 'login', 'logout'].map(
        (page) => `/${page}/**`,
      ),
      ...['accept-invitation', 'account'].map((page) => `/${page}/**`),
      '/app/**',
      '/v1/webhooks/**',
    ]);
  });
});
