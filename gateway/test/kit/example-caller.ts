import type { Grant, PolicyCaller, PolicyPrincipal } from '../../src/routing/policy.ts';

type Bearer = Extract<PolicyCaller, { kind: 'user' | 'client' }>;

/** Builds a caller whose token has neither scopes nor an actor, with what policies need. */
const bearer = (claims: Partial<Grant> & Pick<Grant, 'kind'>): Bearer => ({
  kind: claims.kind,
  bound: false,
  token: {
    claims: {
      issuer: 'http://issuer.test',
      userId: undefined,
      role: undefined,
      tenantId: undefined,
      clientId: undefined,
      scope: [],
      act: undefined,
      kept: new Map(),
      ...claims,
    },
  },
});

export const exampleUser = (claims: Partial<Grant> = {}): Bearer =>
  bearer({ kind: 'user', userId: 'u1', role: 'agent', tenantId: 'acme', ...claims });

export const exampleClient = (claims: Partial<Grant> = {}): Bearer =>
  bearer({ kind: 'client', clientId: 'job-1', ...claims });

export const exampleService = (principal?: PolicyPrincipal): PolicyCaller => ({
  kind: 'service',
  serviceId: 'complaint-service',
  principal,
});
