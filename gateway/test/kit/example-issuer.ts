import type { Issuer } from '../../src/config/config.ts';

/** An issuer under the strict rules, as an entry without optional keys defines it. */
export function exampleIssuer(changes: Partial<Issuer> = {}): Issuer {
  return {
    issuer: 'http://issuer.test',
    name: undefined,
    provider: undefined,
    template: undefined,
    audience: ['complaints-api'],
    mayLackAudience: false,
    sameSubjects: false,
    clients: undefined,
    jwks: 'http://issuer.test/jwks.json',
    shownJwks: 'http://issuer.test/jwks.json',
    discovery: false,
    algorithms: ['ES256'],
    types: ['at+jwt'],
    typeTest: [],
    require: [],
    claims: {
      userId: ['user_id'],
      role: { kind: 'claim', path: ['role'] },
      tenantId: { kind: 'claim', path: ['tenant_id'] },
      sessionId: ['sid'],
      scope: ['scope'],
      client: ['client_id', 'azp'],
    },
    subjectEncoding: 'none',
    userPrefix: '',
    tenantPrefix: '',
    machines: { isAccepted: false, when: [], role: undefined, tenantId: undefined },
    kept: { scopes: new Set(), claims: [], copied: [] },
    isStrict: true,
    maxTokenLifetimeSec: 86_400,
    tenants: undefined,
    roles: undefined,
    revocations: undefined,
    events: undefined,
    introspection: undefined,
    ...changes,
  };
}
