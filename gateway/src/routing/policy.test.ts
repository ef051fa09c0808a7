import { describe, expect, test } from '@jest/globals';
import { exampleRoute } from '../../test/kit/example-route.ts';
import type { AuthMode } from '../config/config.ts';
import { compilePolicy, evaluatePolicy, type PolicyCaller, refusalOf } from './policy.ts';

const anonymous: PolicyCaller = { kind: 'anonymous' };
const agent = { kind: 'user', bound: false, userId: 'u1', role: 'agent', tenantId: 'acme' } as const;
const service: PolicyCaller = { kind: 'service', serviceId: 'complaint-service' };
const delegated: PolicyCaller = { ...service, user: { userId: 'u1', role: 'agent', tenantId: 'acme' } };

const route = (auth: AuthMode, rules: { roles?: string[]; tenantParam?: string; callers?: string[] } = {}) =>
  exampleRoute({
    path: '/t/:tenantId',
    auth,
    allow: { roles: rules.roles && new Set(rules.roles), tenantParam: rules.tenantParam },
    callers: new Set(rules.callers),
  });

const bound = (auth: AuthMode) => exampleRoute({ path: '/t/:tenantId', auth, senderConstrained: true });

describe('evaluatePolicy', () => {
  test.each<[string, ReturnType<typeof route>, PolicyCaller, string | undefined]>([
    ['required, anonymous', route('required'), anonymous, 'token_missing'],
    ['required, a user', route('required'), agent, undefined],
    ['optional, anonymous', route('optional'), anonymous, undefined],
    ['public, anonymous', route('public'), anonymous, undefined],
    ['a role that is listed', route('required', { roles: ['admin', 'agent'] }), agent, undefined],
    ['a role that is not', route('required', { roles: ['admin'] }), agent, 'insufficient_role'],
    ['no token before no role', route('required', { roles: ['admin'] }), anonymous, 'token_missing'],
    ['its own tenant', route('required', { tenantParam: 'tenantId' }), agent, undefined],
    ['another tenant', route('required', { tenantParam: 'other' }), agent, 'tenant_mismatch'],
    ['bound required, not bound', bound('required'), agent, 'token_unbound'],
    ['bound required, bound', bound('required'), { ...agent, bound: true }, undefined],
    ['bound required, anonymous', bound('required'), anonymous, 'token_missing'],
    ['bound if there is a token, anonymous', bound('optional'), anonymous, undefined],
    ['bound if there is a token, not bound', bound('optional'), agent, 'token_unbound'],
    ['service, a user', route('service', { callers: ['complaint-service'] }), agent, 'caller_missing'],
    ['service, listed', route('service', { callers: ['complaint-service'] }), service, undefined],
    ['service, not listed', route('service', { callers: ['users-service'] }), service, 'caller_not_allowed'],
    [
      'service without a user where a role is asked',
      route('service', { callers: ['complaint-service'], roles: ['agent'] }),
      service,
      'insufficient_role',
    ],
    [
      'service for a user where a role is asked',
      route('service', { callers: ['complaint-service'], roles: ['agent'] }),
      delegated,
      undefined,
    ],
  ])('%s', (_name, of, caller, refusal) => {
    expect(refusalOf(evaluatePolicy(compilePolicy(of), { tenantId: 'acme', other: 'globex' }, caller))).toBe(refusal);
  });

  test('lists every rule, also after the one that refuses', () => {
    const verdicts = evaluatePolicy(
      compilePolicy(route('required', { roles: ['admin'], tenantParam: 'other' })),
      { other: 'globex' },
      agent,
    );
    expect(verdicts.map(({ refusal }) => refusal)).toEqual([undefined, 'insufficient_role', 'tenant_mismatch']);
  });
});
