import { describe, expect, test } from '@jest/globals';
import { exampleConfig } from '../../test/kit/example-config.ts';
import type { TestCaller } from '../config/config.ts';
import { assumedToken, type Requester } from './callers.ts';
import { createDryRun } from './dry-run.ts';

const config = exampleConfig(`
services: { complaint-service: { keys: ./keys.json } }
routes:
  - { name: open, path: /open, methods: [GET], upstream: users-service, auth: public }
  - name: settings
    path: /v1/tenants/:tenantId/settings
    methods: [GET, PUT]
    upstream: users-service
    auth: required
    allow: { roles: [admin], tenant: ":tenantId" }
    rewrite: { prefix: { from: /v1, to: / } }
  - { name: lookup, path: "/internal/users/:id", methods: [GET], upstream: users-service, auth: service, callers: [complaint-service] }
`);
const [issuer] = config.issuers;
if (issuer === undefined) throw new Error('the example has no issuer');
const token = (as: Partial<TestCaller>) => {
  const rest = { issuer: undefined, userId: undefined, role: undefined, tenantId: undefined, client: undefined };
  return { token: assumedToken({ ...rest, scope: [], actor: undefined, claims: {}, bound: false, ...as }, issuer, 0) };
};
const anonymous: Requester = {};
const admin = token({ userId: 'u1', role: 'admin', tenantId: 'acme' });
const oauthClient = token({ client: 'job-1' });
const service: Requester = { service: 'complaint-service' };

describe('the dry run', () => {
  const decide = createDryRun(config, () => 0);

  test.each([
    ['GET', '/open', anonymous, undefined],
    ['GET', '/open/', anonymous, 'no_route'],
    ['POST', '/open', anonymous, 'method_not_allowed'],
    ['GET', '/../open', anonymous, 'invalid_target'],
    ['GET', `/${'a'.repeat(9000)}`, anonymous, 'uri_too_long'],
    ['PUT', '/v1/tenants/acme/settings', admin, undefined],
    ['PUT', '/v1/tenants/globex/settings', admin, 'tenant_mismatch'],
    ['PUT', '/v1/tenants/acme/settings', anonymous, 'token_missing'],
    ['GET', '/internal/users/1', service, undefined],
    ['GET', '/internal/users/1', admin, 'no_route'],
    ['GET', '/open', service, 'no_route'],
    // A public route ignores an OAuth client's token.
    ['GET', '/open', oauthClient, undefined],
    ['BREW', '/open', anonymous, 'invalid_request'],
  ])('%s %s', async (method, requestTarget, requester, refusal) => {
    expect((await decide({ method, requestTarget, ...requester })).refusal?.code).toBe(refusal);
  });

  test('returns the path and query for the upstream', async () => {
    const decision = await decide({ method: 'GET', requestTarget: '/v1/tenants/acme/settings?full=1', ...admin });
    expect(decision).toMatchObject({
      sends: { path: '/tenants/acme/settings', requestTarget: '/tenants/acme/settings?full=1' },
      route: { name: 'settings' },
    });
  });

  test('lists the methods that a path allows', async () => {
    expect((await decide({ method: 'DELETE', requestTarget: '/open', ...anonymous })).allow).toEqual(['GET', 'HEAD']);
  });
});
