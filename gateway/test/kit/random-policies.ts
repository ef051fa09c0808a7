/** A seeded generator (mulberry32), so that a failure can be repeated. */
export function createRandom(seed: number) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  const below = (count: number) => Math.floor(next() * count);
  const pick = <T>(list: readonly T[]): T => list[below(list.length)] as T;
  const some = <T>(list: readonly T[], least = 1): T[] => {
    const chosen = list.filter(() => next() < 0.45);
    while (chosen.length < least) {
      const one = pick(list);
      if (!chosen.includes(one)) chosen.push(one);
    }
    return chosen;
  };
  return { next, below, pick, some, chance: (share: number) => next() < share };
}

export type Random = ReturnType<typeof createRandom>;

type Json = Record<string, unknown>;

export const pools = {
  segments: ['a', 'b', 'c', 'acme', 'globex'],
  roles: ['admin', 'agent', 'user', 'guest'],
  groups: ['g1', 'g2', 'g3', 'g4'],
  tenants: ['acme', 'globex', 'initech', 'p-acme'],
  scopes: ['s.read', 's.write', 's.admin', 's.more'],
  clients: ['web', 'batch', 'mobile'],
  actors: ['bot', 'helper'],
  departments: ['legal', 'hr', 'sales'],
  levels: [1, 2, true, 'one'],
  services: ['billing', 'search', 'mailer'],
  origins: ['https://app.test', 'https://other-app.test'],
  issuers: ['https://one.test', 'https://two.test/realms/x', 'https://three.test/acme', 'https://three.test/globex'],
  environments: ['prod', 'test'],
  methods: ['GET', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'HEAD'],
} as const;

const roleSource = (random: Random) =>
  random.pick<() => unknown>([
    () => 'role',
    () => ['realm', 'roles'],
    () => ({ constant: random.pick(pools.roles) }),
    () => mapped(random, random.pick<unknown>(['groups', ['realm', 'roles'], 'role']), pools.groups, pools.roles),
    () => mapped(random, 'groups', pools.groups, pools.roles),
  ])();

const tenantSource = (random: Random) =>
  random.pick<() => unknown>([
    () => 'tenant_id',
    () => 'org',
    () => ({ constant: random.pick(pools.tenants) }),
    () => mapped(random, random.pick(['org', 'groups']), pools.groups, pools.tenants),
  ])();

const mapped = (random: Random, from: unknown, keys: readonly string[], values: readonly string[]) => ({
  from,
  map: random.some(keys).map((key) => [key, random.pick(values)]),
  ...(random.chance(0.4) && { otherwise: random.pick(values) }),
});

/** A template names the tenant, in one of its issuers at least. */
const templateOf = (random: Random) => ({
  issuer: 'https://three.test/{tid}',
  template: { tid: random.chance(0.6) ? 'any' : random.some(['acme', 'globex', 'zeta']) },
});

const requirementOf = (random: Random) => ({ env: random.pick<unknown>(['present', ...pools.environments]) });

const prefixesOf = (random: Random) => ({
  ...(random.chance(0.25) && { tenantPrefix: 'p-' }),
  ...(random.chance(0.25) && { userPrefix: 'u-' }),
  ...(random.chance(0.25) && { require: [requirementOf(random)] }),
});

const issuerOf = (random: Random, issuer: string) => ({
  ...(issuer.startsWith('https://three.') ? templateOf(random) : { issuer }),
  ...prefixesOf(random),
  audience: 'api',
  jwks: './keys.json',
  sameSubjects: true,
  claims: {
    userId: 'sub',
    role: roleSource(random),
    tenantId: issuer.startsWith('https://three.') && random.chance(0.7) ? { fromIssuer: 'tid' } : tenantSource(random),
    ...(random.chance(0.3) && { scope: 'scp' }),
  },
  roles: random.some(pools.roles, 2),
  tenants: random.some(pools.tenants, 2),
  ...(random.chance(0.3) && { clients: random.some(pools.clients) }),
  ...(random.chance(0.7) && {
    machines: {
      ...(random.chance(0.6) && { role: roleSource(random) }),
      ...(random.chance(0.6) && { tenantId: tenantSource(random) }),
    },
  }),
});

function pathOf(random: Random): string {
  const names = ['p', 'q', 'r'];
  const segments = Array.from({ length: 1 + random.below(3) }, () =>
    random.chance(0.35) ? `:${names.shift()}` : random.pick(pools.segments),
  );
  if (random.chance(0.25)) segments.push('**');
  return `/${segments.join('/')}`;
}

const partyOf = (random: Random, names: readonly string[], key: 'id' | 'sub') => ({
  iss: random.pick(pools.issuers),
  [key]: random.pick(names),
});

function allowOf(random: Random, path: string, auth: string): Json {
  const params = path.match(/:\w+/g) ?? [];
  return {
    scopes: random.chance(0.5) ? random.some(pools.scopes) : 'any',
    ...(random.chance(0.5) && { roles: random.some(pools.roles) }),
    ...(random.chance(0.4) && params.length > 0 && { tenant: random.pick(params) }),
    ...(random.chance(0.5) && {
      clients: random.chance(0.3) ? 'any' : [0, 1].map(() => partyOf(random, pools.clients, 'id')),
    }),
    ...(random.chance(0.4) && { actors: [0, 1].map(() => partyOf(random, pools.actors, 'sub')) }),
    ...(random.chance(0.4) && auth !== 'service' && { claims: claimsOf(random) }),
  };
}

const claimsOf = (random: Random): Json => ({
  department: random.some(pools.departments),
  ...(random.chance(0.4) && { level: random.some(pools.levels) }),
  ...(random.chance(0.3) && { groups: random.some(pools.groups) }),
});

function routeOf(random: Random, name: string): Json {
  const path = pathOf(random);
  const auth = random.pick([
    'required',
    'required',
    'required',
    'required',
    'optional',
    'public',
    'service',
    'service',
  ]);
  const methods = random.some(pools.methods);
  return {
    name,
    path,
    methods,
    auth,
    upstream: random.pick(['api', 'files']),
    ...(auth === 'service' && { callers: random.some(pools.services) }),
    ...((auth === 'required' || auth === 'service') && { allow: allowOf(random, path, auth) }),
    ...(auth === 'required' && random.chance(0.15) && { senderConstrained: 'required' }),
    ...(auth !== 'service' && methods.includes('GET') && random.chance(0.2) && { websocket: true }),
    ...(path.startsWith('/a/') &&
      random.chance(0.5) && { rewrite: { prefix: { from: '/a', to: random.pick(['/', '/b']) } } }),
  };
}

export function randomPolicy(random: Random): Json {
  const count = 1 + random.below(3);
  return {
    version: 1,
    publicOrigins: ['https://api.test'],
    identity: { keys: './keys' },
    issuers: pools.issuers.slice(0, count).map((issuer) => issuerOf(random, issuer)),
    services: Object.fromEntries(pools.services.map((name) => [name, { keys: './service.json' }])),
    upstreams: { api: { targets: ['https://api.internal.test'] }, files: { targets: ['https://files.internal.test'] } },
    routes: Array.from({ length: 2 + random.below(6) }, (_, index) => routeOf(random, `r${index}`)),
    ...(random.chance(0.3) && { cors: { origins: random.some(pools.origins) } }),
  };
}

/** Changes a policy in one to three places. */
export function changedPolicy(random: Random, policy: Json): Json {
  const copy = structuredClone(policy) as { routes: Json[]; issuers: Json[]; cors?: unknown };
  for (let count = 1 + random.below(3); count > 0; count -= 1) {
    const at = random.below(copy.routes.length);
    const route = copy.routes[at] as Json;
    random.pick<() => void>([
      () => {
        copy.routes[at] = routeOf(random, String(route.name));
      },
      () => void (copy.routes.length > 1 && copy.routes.splice(at, 1)),
      () => void copy.routes.push(routeOf(random, `n${count}`)),
      () => {
        route.allow = route.allow && allowOf(random, String(route.path), String(route.auth));
      },
      () => {
        route.allow = route.allow && { ...(route.allow as Json), roles: random.some(pools.roles) };
      },
      () => {
        route.methods = random.some(pools.methods);
      },
      () => {
        copy.issuers[0] = issuerOf(random, pools.issuers[0]);
      },
      () => {
        const at = copy.issuers.length - 1;
        copy.issuers[at] = issuerOf(random, pools.issuers[at] ?? '');
      },
      () => void Object.assign(copy.issuers.at(-1) as Json, prefixesOf(random)),
      () => {
        const { role } = (copy.issuers[0] as { claims: { role: { map?: unknown } } }).claims;
        if (Array.isArray(role.map)) role.map.reverse();
      },
      () => void Object.assign(copy.issuers[0] as Json, { roles: random.some(pools.roles, 2) }),
      () => void (copy.issuers.length > 1 && copy.issuers.pop()),
      () => {
        copy.cors = { origins: random.some(pools.origins) };
      },
    ])();
  }
  return copy;
}

export type RandomRequest = Readonly<{
  listener: 'public' | 'internal';
  method: string;
  path: string;
  origin?: string;
  service?: string;
  payload?: Json;
}>;

export function randomRequest(random: Random): RandomRequest {
  const segments = Array.from({ length: 1 + random.below(4) }, () =>
    random.pick([...pools.segments, 'initech', 'p-acme', 'zeta', 'z', 'zz']),
  );
  if (random.chance(0.1)) segments.push('');
  const isInternal = random.chance(0.25);
  const method = random.pick([
    ...pools.methods,
    'GET',
    'GET',
    'POST',
    'PATCH',
    'TRACE',
    ...(isInternal ? [] : ['WebSocket', 'preflight']),
  ]);
  const hasToken = method !== 'preflight' && random.chance(isInternal ? 0.7 : 0.9);
  return {
    listener: isInternal ? 'internal' : 'public',
    method,
    path: `/${segments.join('/')}`,
    ...(method === 'preflight' && { origin: random.pick([...pools.origins, 'https://unlisted.test']) }),
    ...(isInternal && { service: random.pick(pools.services) }),
    ...(hasToken && { payload: payloadOf(random) }),
  };
}

/** A text, a list, or a list with other values. */
const claim = (random: Random, values: readonly unknown[]): unknown =>
  random.chance(0.5) ? random.pick([...values, 'other']) : random.some([...values, 'other'], 0);

function payloadOf(random: Random): Json {
  const client = random.chance(0.6) ? random.pick([...pools.clients, 'stranger']) : undefined;
  const isMachine = client !== undefined && random.chance(0.35);
  const own = (share: number, part: () => Json) => (random.chance(share) ? part() : {});
  return {
    iss: random.pick([
      ...pools.issuers,
      pools.issuers[0],
      'https://three.test/p-acme',
      'https://three.test/zeta',
      'https://three.test/yotta',
      'https://unknown.test',
    ]),
    env: random.pick(pools.environments),
    sub: isMachine ? client : 'u1',
    ...(client !== undefined && { client_id: client }),
    ...own(0.9, () => ({
      role: random.chance(0.8) ? random.pick(pools.roles) : claim(random, [...pools.roles, ...pools.groups]),
    })),
    ...own(0.7, () => ({ groups: claim(random, pools.groups) })),
    ...own(0.8, () => ({
      realm: { roles: random.chance(0.5) ? random.pick(pools.roles) : claim(random, [...pools.groups]) },
    })),
    ...own(0.9, () => ({ tenant_id: random.pick(pools.tenants) })),
    ...own(0.9, () => ({ org: random.chance(0.7) ? random.pick(pools.tenants) : claim(random, pools.groups) })),
    ...own(0.8, () => ({ scope: random.some(pools.scopes, 1).join(' ') })),
    ...own(0.5, () => ({ scp: random.some(pools.scopes, 0) })),
    ...own(0.3, () => ({
      act: { sub: random.pick(pools.actors), ...(random.chance(0.5) && { iss: random.pick(pools.issuers) }) },
    })),
    ...own(0.3, () => ({ cnf: { jkt: 'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs' } })),
    ...own(0.8, () => ({ department: claim(random, pools.departments) })),
    ...own(0.6, () => ({ level: claim(random, pools.levels) })),
  };
}
