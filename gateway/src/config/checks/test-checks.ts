import { below, type CheckedFile, type Refuse } from './cross-checks.ts';

/** The names that a test may use. If a set contains undefined, any name could belong to a malformed entry. */
type KnownNames = Readonly<Record<'issuers' | 'routes' | 'upstreams' | 'services', ReadonlySet<string | undefined>>>;

export function namesIn({ issuers, routes, upstreams, services, isMalformed }: CheckedFile): KnownNames {
  return {
    routes: new Set(isMalformed('routes') ? [undefined] : routes.map(({ name }) => name)),
    upstreams: new Set(Object.keys(upstreams)),
    services: new Set(isMalformed('services') ? [undefined] : Object.keys(services)),
    // A template allows many issuers.
    issuers: new Set(
      issuers.flatMap(({ issuer, name = issuer, template }) => (template === undefined ? [issuer, name] : undefined)),
    ),
  };
}

export function checkTests(tests: CheckedFile['tests'], known: KnownNames, refuse: Refuse): void {
  for (const [index, { request, expect }] of tests.entries()) {
    const refuseHere = below(refuse, 'tests', index);
    const names = [
      [['request', 'service'], 'a service', request?.service, known.services],
      [['request', 'as', 'issuer'], 'an issuer', request?.as?.issuer, known.issuers],
      [['expect', 'route'], 'a route', expect?.route, known.routes],
      [['expect', 'upstream'], 'an upstream', expect?.upstream, known.upstreams],
    ] as const;
    for (const [path, kind, given, all] of names) {
      if (given !== undefined && !all.has(given) && !all.has(undefined)) {
        refuseHere(path, `"${given}" is not ${kind} in the configuration`);
      }
    }
    if (request?.as !== undefined) checkCaller(request.as, below(refuseHere, 'request', 'as'));
    if (expect === undefined) continue;
    for (const key of expect.allowed ? (['status', 'code'] as const) : (['upstream', 'path'] as const)) {
      if (expect[key] === undefined) continue;
      refuseHere(['expect', key], expect.allowed ? 'only a refusal has this' : 'a refused request has none');
    }
  }
}

type AssumedCaller = NonNullable<NonNullable<CheckedFile['tests'][number]['request']>['as']>;

function checkCaller({ userId, client, role, tenantId }: AssumedCaller, refuse: Refuse): void {
  if (userId === undefined) {
    if (client === undefined) refuse(['userId'], 'the caller is a user or an OAuth client: set userId or client');
    return;
  }
  if (role === undefined) refuse(['role'], 'is required with userId');
  if (tenantId === undefined) refuse(['tenantId'], 'is required with userId');
}
