import type { GatewayConfig } from '../../src/config/config.ts';
import { parseConfig } from '../../src/config/load.ts';
import { assumedToken } from '../../src/explain/callers.ts';
import { loggedPartOf } from '../../src/tokens/logged-caller.ts';

/** The rules of one route, as this model reads them. */
export type ModelRules = Readonly<{
  auth: 'required' | 'optional' | 'public';
  bound?: boolean | undefined;
  actors?: readonly string[] | undefined;
  clients?: readonly string[] | 'any' | undefined;
  scopes?: readonly string[] | undefined;
  roles?: readonly string[] | undefined;
  tenant?: boolean;
  department?: readonly string[] | undefined;
}>;

export type ModelRoute = ModelRules & Readonly<{ name: string; methods: readonly string[] }>;

export type ModelCaller = Readonly<{
  userId: string | undefined;
  client: string | undefined;
  role: string | undefined;
  tenantId: string | undefined;
  actor: string | undefined;
  scope: readonly string[];
  department: readonly string[];
  bound: boolean;
}>;

/** A generator of numbers below a bound, the same for the same seed. */
export function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const roles = ['agent', 'admin', 'auditor', 'complainant'];
const scopes = ['orders.read', 'orders.write', 'users.read'];
const departments = ['legal', 'sales', 'it'];
const clients = ['web', 'cli', 'job'];
const tenants = ['acme', 'globex', 'initech'];
export const routeNames = Array.from({ length: 12 }, (_, index) => `r${index}`);

export function randomRoutes(random: (below: number) => number): readonly ModelRoute[] {
  const some = (of: readonly string[]) => of.filter(() => random(2) === 0);
  const maybe = (of: readonly string[]) => {
    const chosen = random(3) === 0 ? some(of) : [];
    return chosen.length === 0 ? undefined : chosen;
  };
  return routeNames.flatMap((name): readonly ModelRoute[] => {
    if (random(12) === 0) return [];
    const methods = random(3) === 0 ? ['GET'] : ['GET', 'POST'];
    const auth = random(6) === 0 ? (['public', 'optional'] as const)[random(2)] : 'required';
    if (auth !== 'required')
      return [{ name, methods, auth: auth ?? 'public', bound: auth === 'optional' && random(3) === 0 }];
    return [
      {
        name,
        methods,
        auth,
        bound: random(5) === 0,
        actors: maybe(['bot', 'helper']),
        clients: random(4) === 0 ? ('any' as const) : maybe(clients),
        scopes: maybe(scopes),
        roles: random(2) === 0 ? maybe(roles) : some(roles).concat('agent'),
        tenant: random(4) === 0,
        department: maybe(departments),
      },
    ];
  });
}

const listOf = (values: readonly string[] | 'any') => (values === 'any' ? 'any' : `[${[...new Set(values)]}]`);

export function yamlOf(routes: readonly ModelRoute[]): string {
  const written = routes.map(
    ({ name, methods, auth, bound, actors, clients: parties, scopes: wanted, roles: named, tenant, department }) => {
      const rules = [
        actors && `actors: ${listOf(actors)}`,
        parties && `clients: ${listOf(parties)}`,
        wanted && `scopes: ${listOf(wanted)}`,
        named && `roles: ${listOf(named)}`,
        tenant && 'tenant: ":t"',
        department && `claims: { department: ${listOf(department)} }`,
      ].filter(Boolean);
      const allow = rules.length === 0 ? '' : `, allow: { ${rules.join(', ')} }`;
      const proof = bound ? ', senderConstrained: required' : '';
      return `  - { name: ${name}, path: "/${name}/:t", methods: [${methods}], upstream: api, auth: ${auth}${proof}${allow} }`;
    },
  );
  return `version: 1
publicOrigins: ["https://api.test"]
issuers: [{ issuer: "https://id.test", discovery: true, audience: api, machines: { role: role, tenantId: tenant_id } }]
identity: { keys: ./keys }
upstreams: { api: { targets: ["http://127.0.0.1:9"] } }
routes:
${written.join('\n')}
`;
}

export const configOf = (routes: readonly ModelRoute[]): GatewayConfig =>
  parseConfig(yamlOf(routes), { file: 'gateway.yaml', env: {} });

export function randomCallers(count: number, random: (below: number) => number): readonly ModelCaller[] {
  return Array.from({ length: count }, (_, index) => {
    const isUser = random(6) > 0;
    const bound = random(5) === 0;
    const scope = scopes.filter(() => random(2) === 0);
    const department = departments.filter(() => random(3) === 0);
    const actor = random(8) === 0 ? ['bot', 'helper'][random(2)] : undefined;
    const client = isUser && random(3) === 0 ? undefined : clients[random(3)];
    const role = isUser || random(2) === 0 ? roles[random(4)] : undefined;
    return {
      userId: isUser ? `u${index}` : undefined,
      client,
      role,
      tenantId: tenants[random(3)],
      actor,
      scope,
      department,
      bound,
    };
  });
}

export type ModelDecision = Readonly<{ route?: string; code?: string; kind?: string; rule?: string }>;

/** Decides by hand, without the gateway's code. `unknown` if a rule reads what `known` does not have. */
export function decideByHand(
  routes: readonly ModelRoute[],
  request: Readonly<{ method: string; name: string; tenant: string }>,
  caller: ModelCaller | undefined,
  known: Readonly<{ caller: boolean; scopes: ReadonlySet<string>; department: boolean }>,
): ModelDecision | 'unknown' {
  const route = routes.find(({ name }) => name === request.name);
  if (route === undefined) return { code: 'no_route' };
  const isServed =
    route.methods.includes(request.method) || (request.method === 'HEAD' && route.methods.includes('GET'));
  if (!isServed) return { code: 'method_not_allowed' };
  const refused = (code: string, rule: string): ModelDecision => ({ route: route.name, code, rule });
  if (route.auth === 'public') return { route: route.name, kind: 'anonymous', rule: 'auth: public' };
  if (!known.caller) return 'unknown';
  if (caller === undefined)
    return route.auth === 'optional'
      ? { route: route.name, kind: 'anonymous', rule: 'auth: optional' }
      : refused('token_missing', 'auth: required');
  if (caller.actor !== undefined && route.actors === undefined) return refused('actor_not_allowed', 'auth');
  if (caller.userId === undefined && route.clients === undefined) return refused('client_not_allowed', 'auth');
  if (route.bound && !caller.bound) return refused('token_unbound', 'bound');
  if (route.actors && caller.actor !== undefined && !route.actors.includes(caller.actor))
    return refused('actor_not_allowed', 'actors');
  if (route.clients && route.clients !== 'any' && !route.clients.includes(caller.client ?? ''))
    return refused('client_not_allowed', 'clients');
  for (const scope of route.scopes ?? []) {
    if (!known.scopes.has(scope)) return 'unknown';
    if (!caller.scope.includes(scope)) return refused('insufficient_scope', 'scopes');
  }
  if (route.roles && !route.roles.includes(caller.role ?? '')) return refused('insufficient_role', 'roles');
  if (route.tenant && caller.tenantId !== request.tenant) return refused('tenant_mismatch', 'tenant');
  if (route.department) {
    if (!known.department) return 'unknown';
    if (!route.department.some((one) => caller.department.includes(one))) return refused('claim_not_allowed', 'claims');
  }
  return { route: route.name, kind: caller.userId === undefined ? 'client' : 'user', rule: 'last' };
}

export const knownTo = (routes: readonly ModelRoute[]) => ({
  scopes: new Set(routes.flatMap((route) => route.scopes ?? [])),
  department: routes.some(({ department }) => department !== undefined),
});

export const requesterOf = (caller: ModelCaller, config: GatewayConfig) => {
  const { userId, client, role, tenantId, scope, department, bound, actor } = caller;
  const [issuer] = config.issuers;
  if (issuer === undefined) throw new Error('the model has an issuer');
  const party = actor === undefined ? undefined : { issuer: undefined, name: actor };
  const kept = config.issuers[0]?.kept.claims.includes('department') && department.length > 0 ? { department } : {};
  return assumedToken(
    { issuer: undefined, userId, client, role, tenantId, scope, bound, actor: party, claims: kept },
    issuer,
    0,
  );
};

/** Writes lines as the gateway does, with the part of each caller that it really logs. */
export function lineWriter(config: GatewayConfig, callers: readonly ModelCaller[]) {
  const parts = callers.map((caller) => {
    const { claims, issuer } = requesterOf(caller, config);
    const status = { claims, kid: '', issuer: { config: issuer } } as never;
    const { userId: user_id, client: client_id, actor, tenantId: tenant_id } = caller;
    const ids = JSON.stringify({ user_id, client_id, actor, tenant_id }).slice(1, -1);
    return { ids: ids === '' ? '' : `,${ids}`, json: `,${loggedPartOf(status).json}` };
  });
  return (id: number, method: string, path: string, decision: ModelDecision, who: number | undefined): string => {
    const { route, code, kind, rule } = decision;
    const isAuthenticated = who !== undefined && rule !== undefined && rule !== 'auth: public';
    const identity =
      kind ??
      (route === undefined ? undefined : isAuthenticated ? (callers[who]?.userId ? 'user' : 'client') : 'anonymous');
    const part = isAuthenticated && route !== undefined ? parts[who] : undefined;
    const members = {
      request_id: `id-${id}`,
      method,
      path,
      status: code === undefined ? 200 : 403,
      route,
      rule,
      code,
      identity,
    };
    return `{"level":30,"time":"2027-01-15T08:00:00.000Z","name":"gateway","pid":1,${JSON.stringify(members).slice(1, -1)}${part?.ids ?? ''},"ip":"192.0.2.1","upstream":"api","target":"http://127.0.0.1:9","attempts":1,"duration_ms":1.25,"decided_ms":0.2,"waited_ms":0.01,"upstream_ms":0.9${part?.json ?? ''},"msg":"request"}`;
  };
}

export type Tally = {
  same: number;
  changed: number;
  unknown: number;
  groups: Map<string, { requests: number; callers: Set<string> }>;
};

/** Makes requests with their lines, and counts what a replay must find. */
export function* recordedRequests(
  count: number,
  seed: number,
  old: readonly ModelRoute[],
  next: readonly ModelRoute[],
  callers: readonly ModelCaller[],
  tally: Tally,
): Generator<string> {
  const random = seeded(seed);
  const write = lineWriter(configOf(old), callers);
  const knownOld = knownTo(old);
  for (let id = 0; id < count; id += 1) {
    const who = random(10) === 0 ? undefined : random(callers.length);
    const caller = who === undefined ? undefined : callers[who];
    const request = {
      method: ['GET', 'POST', 'HEAD'][random(3)] ?? '',
      name: routeNames[random(12)] ?? '',
      tenant: tenants[random(3)] ?? '',
    };
    const before = decideByHand(old, request, caller, { caller: true, ...knownTo(old) });
    if (before === 'unknown') throw new Error('the old file knows what it reads');
    yield write(id, request.method, `/${request.name}/${request.tenant}`, before, who);
    const isCallerKnown = before.route !== undefined && before.rule !== 'auth: public';
    const after = decideByHand(next, request, caller, { caller: isCallerKnown, ...knownOld });
    if (after === 'unknown') tally.unknown += 1;
    else if (before.route === after.route && before.code === after.code && before.kind === after.kind) tally.same += 1;
    else {
      tally.changed += 1;
      const named = isCallerKnown && caller !== undefined ? caller : undefined;
      const key = [
        before.route,
        before.code,
        before.kind,
        after.route,
        after.code,
        after.kind,
        named?.role,
        named?.tenantId,
      ].join(' ');
      const group = tally.groups.get(key) ?? { requests: 0, callers: new Set() };
      group.requests += 1;
      const name = named?.userId ?? named?.client;
      if (name !== undefined) group.callers.add(`${named?.tenantId} ${name}`);
      tally.groups.set(key, group);
    }
  }
}
