import { describe, expect, test } from '@jest/globals';
import { exampleClient, exampleService, exampleUser } from '../../test/kit/example-caller.ts';
import { exampleConfig } from '../../test/kit/example-config.ts';
import type { PolicyCaller } from '../routing/policy.ts';
import { createDryRun } from './dry-run.ts';

const anonymous: PolicyCaller = { kind: 'anonymous' };
const admin = exampleUser({ role: 'admin' }, { issuer: 'http://127.0.0.1:8080' });
const machine = exampleClient({}, { issuer: 'http://127.0.0.1:8080' });
const service = exampleService();

describe('the dry run', () => {
  const decide = createDryRun(
    exampleConfig(`
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
`),
    Date.now,
  );

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
    // A public route ignores the token of a machine.
    ['GET', '/open', machine, undefined],
    ['BREW', '/open', anonymous, 'invalid_request'],
  ])('%s %s', async (method, target, caller, refusal) => {
    expect((await decide({ method, target, caller })).refusal?.code).toBe(refusal);
  });

  test('returns the path and query for the upstream', async () => {
    const decision = await decide({ method: 'GET', target: '/v1/tenants/acme/settings?full=1', caller: admin });
    expect(decision).toMatchObject({
      sends: { path: '/tenants/acme/settings', target: '/tenants/acme/settings?full=1' },
      route: { name: 'settings' },
    });
  });

  test('lists the allowed methods of a path', async () => {
    expect((await decide({ method: 'DELETE', target: '/open', caller: anonymous })).allow).toEqual(['GET', 'HEAD']);
  });
});
