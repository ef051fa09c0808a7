import type { Grant, PolicyCaller, PolicyPrincipal } from '../../src/routing/policy.ts';

type User = Extract<PolicyPrincipal, { kind: 'user' }> & { bound: boolean };
type Client = Extract<PolicyPrincipal, { kind: 'client' }> & { bound: boolean };

/** A token without scopes, client and actor, as far as policies need it. */
export const grantedBy = (grant: Partial<Grant> = {}): { claims: Grant } => ({
  claims: {
    issuer: 'http://issuer.test',
    clientId: undefined,
    scope: [],
    act: undefined,
    kept: new Map(),
    ...grant,
  },
});

export const exampleUser = (facts: Partial<User> = {}, grant: Partial<Grant> = {}): User => ({
  kind: 'user',
  bound: false,
  userId: 'u1',
  role: 'agent',
  tenantId: 'acme',
  token: grantedBy(grant),
  ...facts,
});

export const exampleClient = (facts: Partial<Client> = {}, grant: Partial<Grant> = {}): Client => ({
  kind: 'client',
  bound: false,
  clientId: 'job-1',
  role: undefined,
  tenantId: undefined,
  token: grantedBy({ clientId: facts.clientId ?? 'job-1', ...grant }),
  ...facts,
});

export const exampleService = (principal?: PolicyPrincipal): PolicyCaller => ({
  kind: 'service',
  serviceId: 'complaint-service',
  principal,
});
