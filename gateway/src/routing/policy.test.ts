import { describe, expect, test } from '@jest/globals';
import { exampleClient, exampleService, exampleUser } from '../../test/kit/example-caller.ts';
import { exampleAllow, exampleRoute } from '../../test/kit/example-route.ts';
import type { Allow, AuthMode } from '../config/config.ts';
import { compilePolicy, evaluatePolicy, type PolicyCaller, refusalOf } from './policy.ts';

const anonymous: PolicyCaller = { kind: 'anonymous' };
const agent = exampleUser();
const service = exampleService();
const delegated = exampleService(agent);

const route = (auth: AuthMode, rules: { roles?: string[]; tenant?: string; callers?: string[] } = {}) =>
  exampleRoute({
    path: '/t/:tenantId',
    auth,
    allow: { roles: rules.roles, tenant: rules.tenant },
    callers: new Set(rules.callers),
  });

const bound = (auth: AuthMode) => exampleRoute({ path: '/t/:tenantId', auth, senderConstrained: true });

describe('evaluatePolicy', () => {
  test.each<[string, ReturnType<typeof route>, PolicyCaller, string | undefined]>([
    ['required, anonymous', route('required'), anonymous, 'token_missing'],
    ['auth: required, for a user', route('required'), agent, undefined],
    ['optional, anonymous', route('optional'), anonymous, undefined],
    ['public, anonymous', route('public'), anonymous, undefined],
    ['a listed role', route('required', { roles: ['admin', 'agent'] }), agent, undefined],
    ['a role that is not listed', route('required', { roles: ['admin'] }), agent, 'insufficient_role'],
    [
      'token_missing instead of insufficient_role, if both are missing',
      route('required', { roles: ['admin'] }),
      anonymous,
      'token_missing',
    ],
    ['its own tenant', route('required', { tenant: ':tenantId' }), agent, undefined],
    ['another tenant', route('required', { tenant: ':other' }), agent, 'tenant_mismatch'],
    ['an unbound token, if a bound one is required', bound('required'), agent, 'token_unbound'],
    ['a bound token, if one is required', bound('required'), { ...agent, bound: true }, undefined],
    ['no token, if a bound one is required', bound('required'), anonymous, 'token_missing'],
    ['no token, if only tokens must be bound', bound('optional'), anonymous, undefined],
    ['an unbound token, if tokens must be bound', bound('optional'), agent, 'token_unbound'],
    ['a user on a service route', route('service', { callers: ['complaint-service'] }), agent, 'caller_missing'],
    ['service, listed', route('service', { callers: ['complaint-service'] }), service, undefined],
    ['a service that is not listed', route('service', { callers: ['users-service'] }), service, 'caller_not_allowed'],
    [
      'a service without a user, if a role is required',
      route('service', { callers: ['complaint-service'], roles: ['agent'] }),
      service,
      'insufficient_role',
    ],
    [
      'a service for a user, if a role is required',
      route('service', { callers: ['complaint-service'], roles: ['agent'] }),
      delegated,
      undefined,
    ],
  ])('%s', (_name, of, caller, refusal) => {
    expect(refusalOf(evaluatePolicy(compilePolicy(of), { tenantId: 'acme', other: 'globex' }, caller))).toBe(refusal);
  });

  test('lists every rule, even those after the one that refuses', () => {
    const verdicts = evaluatePolicy(
      compilePolicy(route('required', { roles: ['admin'], tenant: ':other' })),
      { other: 'globex' },
      agent,
    );
    expect(verdicts.map(({ refusal }) => refusal)).toEqual([undefined, 'insufficient_role', 'tenant_mismatch']);
  });
});

describe('machines, actors, OAuth clients, scopes and claims', () => {
  const iss = 'http://issuer.test';
  const other = 'https://other.test';
  const actor = (sub: string, of = iss) => ({ act: { sub, iss: of } });
  const job = exampleClient();
  const of = (allow: Partial<Allow>, auth: AuthMode = 'required') =>
    exampleRoute({ path: '/t', auth, allow: { ...exampleAllow, ...allow }, callers: new Set(['complaint-service']) });
  const named = (name: string, issuer?: string) => ({ name, issuer });
  const legal = { department: ['legal', 7] };
  const having = (...values: (string | number)[]) => exampleUser({ kept: new Map([['department', values]]) });

  test.each<[string, Partial<Allow>, PolicyCaller, string | undefined]>([
    ['an OAuth client without allow.clients', {}, job, 'client_not_allowed'],
    [
      'an OAuth client with a listed role',
      { roles: ['service'] },
      exampleClient({ role: 'service' }),
      'client_not_allowed',
    ],
    ['a listed OAuth client', { clients: [named('job-1')] }, job, undefined],
    ['an OAuth client that is not listed', { clients: [named('job-2')] }, job, 'client_not_allowed'],
    ['another case', { clients: [named('JOB-1')] }, job, 'client_not_allowed'],
    ['any OAuth client', { clients: 'any' }, job, undefined],
    ['an OAuth client of the listed issuer', { clients: [named('job-1', iss)] }, job, undefined],
    [
      'an OAuth client with the same id at another issuer',
      { clients: [named('job-1', other)] },
      job,
      'client_not_allowed',
    ],
    ['an OAuth client without a role', { clients: 'any', roles: ['a'] }, job, 'insufficient_role'],
    ['an OAuth client without a tenant', { clients: 'any', tenant: ':t' }, job, 'tenant_mismatch'],
    ['a user through a listed OAuth client', { clients: [named('web')] }, exampleUser({ clientId: 'web' }), undefined],
    [
      'a user through another OAuth client',
      { clients: [named('web')] },
      exampleUser({ clientId: 'app' }),
      'client_not_allowed',
    ],
    ['a user without an OAuth client', { clients: [named('web')] }, exampleUser(), 'client_not_allowed'],
    ['a user without an OAuth client, if any is allowed', { clients: 'any' }, exampleUser(), undefined],
    ['an actor without allow.actors', {}, exampleUser(actor('agent-1')), 'actor_not_allowed'],
    [
      'an actor for an admin',
      { roles: ['admin'] },
      exampleUser({ role: 'admin', ...actor('agent-1') }),
      'actor_not_allowed',
    ],
    ['a listed actor', { actors: [named('agent-1')] }, exampleUser(actor('agent-1')), undefined],
    ['an actor that is not listed', { actors: [named('agent-2')] }, exampleUser(actor('agent-1')), 'actor_not_allowed'],
    [
      'an actor from another issuer',
      { actors: [named('agent-1')] },
      exampleUser(actor('agent-1', other)),
      'actor_not_allowed',
    ],
    [
      'an actor from a listed issuer',
      { actors: [named('agent-1', other)] },
      exampleUser(actor('agent-1', other)),
      undefined,
    ],
    ['no actor, if some are listed', { actors: [named('agent-1')] }, exampleUser(), undefined],
    ['an actor for an OAuth client', { clients: 'any' }, exampleClient(actor('agent-1')), 'actor_not_allowed'],
    [
      'an agent that is listed as an OAuth client but not as an actor',
      { clients: [named('agent-1')] },
      exampleUser({ ...actor('agent-1'), clientId: 'agent-1' }),
      'actor_not_allowed',
    ],
    ['a scope', { scopes: ['a'] }, exampleUser({ scope: ['b', 'a'] }), undefined],
    ['one missing scope', { scopes: ['a', 'b'] }, exampleUser({ scope: ['b'] }), 'insufficient_scope'],
    ['no scope', { scopes: ['a'] }, exampleUser(), 'insufficient_scope'],
    ['a scope in another case', { scopes: ['a'] }, exampleUser({ scope: ['A'] }), 'insufficient_scope'],
    ['an OAuth client without the scope', { clients: 'any', scopes: ['a'] }, job, 'insufficient_scope'],
    ['a claim', { claims: legal }, having('sales', 'legal'), undefined],
    ['a claim with another type', { claims: legal }, having('7'), 'claim_not_allowed'],
    ['a missing claim', { claims: legal }, exampleUser(), 'claim_not_allowed'],
  ])('%s', (_name, allow, caller, refusal) => {
    expect(refusalOf(evaluatePolicy(compilePolicy(of(allow)), {}, caller))).toBe(refusal);
  });

  test.each<[string, AuthMode, PolicyCaller, string | undefined]>([
    ['an OAuth client on an optional route', 'optional', job, 'client_not_allowed'],
    ['an agent on an optional route', 'optional', exampleUser(actor('agent-1')), 'actor_not_allowed'],
    ['a service for an OAuth client', 'service', exampleService(job), 'client_not_allowed'],
    [
      'a service for a user with an actor',
      'service',
      exampleService(exampleUser(actor('agent-1'))),
      'actor_not_allowed',
    ],
    ['a service for a user', 'service', exampleService(exampleUser()), undefined],
    ['a service for itself', 'service', exampleService(), undefined],
  ])('are refused unless the route allows them: %s', (_name, auth, caller, refusal) => {
    const verdicts = evaluatePolicy(compilePolicy(of({}, auth)), {}, caller);
    expect(refusalOf(verdicts)).toBe(refusal);
    if (refusal !== undefined) expect(verdicts[0]?.why).toMatch(/the route has no allow\.(actors|clients)$/);
  });

  test('a nested call is decided by the claims in the txn-token', () => {
    const rules = { scopes: ['a'], clients: [named('job-1')], actors: [named('agent-1')] };
    const decide = (principal: PolicyCaller & { kind: 'user' | 'client' }) =>
      refusalOf(evaluatePolicy(compilePolicy(of(rules, 'service')), {}, exampleService(principal)));
    expect(decide(exampleClient({ scope: ['a'], ...actor('agent-1') }))).toBeUndefined();
    expect(decide(exampleClient({ scope: ['a'], ...actor('agent-2') }))).toBe('actor_not_allowed');
    expect(decide(exampleClient({ scope: [] }))).toBe('insufficient_scope');
    expect(decide(exampleClient({ clientId: 'job-2', scope: ['a'] }))).toBe('client_not_allowed');
  });

  test.each<Allow['clients']>([[named('job-1')], 'any'])(
    'a service for itself has no OAuth client, so allow.clients %j refuses it',
    (clients) => {
      const verdicts = evaluatePolicy(compilePolicy(of({ clients }, 'service')), {}, exampleService());
      expect(refusalOf(verdicts)).toBe('client_not_allowed');
    },
  );
});
