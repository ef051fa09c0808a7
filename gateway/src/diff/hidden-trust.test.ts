// biome-ignore-all lint/suspicious/noTemplateCurlyInString: this is how gateway.yaml writes variables
import { describe, expect, test } from '@jest/globals';
import { diffOf } from '../../test/kit/diff-of.ts';
import { createRandom, type Random } from '../../test/kit/random-policies.ts';

type Route = Record<string, unknown> & { name: string; path: string; methods: string[] };

const rules = {
  upstream: 'orders',
  auth: 'required',
  allow: { roles: ['admin', 'agent'] },
  rewrite: { prefix: { from: '/v1', to: '/' } },
  limits: [{ requests: 600, per: '1m', by: 'address' }],
};

const base = {
  version: 1,
  issuers: [{ issuer: 'https://idp.test', audience: 'orders', jwks: 'https://idp.test/jwks' }],
  identity: { keys: './keys' },
  upstreams: { orders: { targets: ['https://orders.test'] }, other: { targets: ['https://other.test'] } },
  routes: [
    { name: 'lists', path: '/v1/lists', methods: ['GET', 'POST'], ...rules },
    { name: 'list', path: '/v1/lists/:id', methods: ['GET', 'DELETE'], ...rules },
    { name: 'orders', path: '/v1/orders/**', methods: ['GET', 'POST', 'PUT'], ...rules },
    { name: 'reports', path: '/v1/reports/:year/:id', methods: ['GET'], ...rules, auth: 'public', allow: undefined },
    {
      name: 'other',
      path: '/v1/other/**',
      methods: ['GET'],
      ...rules,
      upstream: 'other',
      forward: { cookies: ['sid'] },
    },
  ] as Route[],
};

const withRoutes = (routes: readonly unknown[]) => ({ ...base, routes });
const [lists, list, orders, reports, other] = base.routes as [Route, Route, Route, Route, Route];

/** Each trust change that a route can hide, with the key that names it. */
const changes = {
  upstream: (route: Route) => ({ ...route, upstream: route.upstream === 'orders' ? 'other' : 'orders' }),
  rewrite: (route: Route) => ({ ...route, rewrite: { prefix: { from: '/v1', to: '/admin' } } }),
  'forward.authorization': (route: Route) => ({
    ...route,
    forward: { ...(route.forward as object), authorization: true },
  }),
  'forward.cookies': (route: Route) => ({ ...route, forward: { cookies: ['sid', 'other'] } }),
  'body.mode': (route: Route) => ({ ...route, body: { mode: 'stream' } }),
} as const;

type Key = keyof typeof changes;
const keys = Object.keys(changes) as Key[];

/** How a route can be written in another way, which changes nothing. */
const rewordings: Readonly<Record<string, (random: Random, route: Route, at: number) => readonly Route[]>> = {
  renamed: (_, route, at) => [{ ...route, name: `renamed-${at}` }],
  'split by method': (_, route, at) =>
    route.methods.map((method, index) => ({ ...route, name: `by-method-${at}-${index}`, methods: [method] })),
  'split by path': (random, route, at) =>
    route.path.endsWith('/**')
      ? [
          route,
          {
            ...route,
            name: `more-${at}`,
            path: route.path.replace('**', random.pick(['special/**', ':any/x/**', 'a/b/**'])),
          },
        ]
      : [route],
  'with other parameters': (_, route) => [{ ...route, path: route.path.replaceAll(':', ':the_') }],
  'another prefix': (_, route) => {
    const word = /^\/v1\/(\w+)/.exec(route.path)?.[1];
    return [{ ...route, rewrite: { prefix: { from: `/v1/${word}`, to: `/${word}` } } }];
  },
};

const reword = (random: Random, routes: readonly Route[]): Route[] =>
  routes.flatMap((route, at) => random.pick(Object.values(rewordings))(random, route, at));

/** Moves common keys and the first segment of every path to a group. */
function nested(routes: readonly Route[]): readonly unknown[] {
  const { limits, ...shared } = rules;
  return [
    {
      path: '/v1',
      ...shared,
      limits: [],
      routes: routes.map(({ path, ...route }) => ({
        ...route,
        limits,
        path: path.slice('/v1'.length),
        ...(route.auth === 'public' && { allow: {} }),
      })),
    },
  ];
}

function shuffled<T>(random: Random, items: readonly T[]): readonly T[] {
  const keyed = items.map((item) => [random.next(), item] as const);
  return keyed.toSorted(([one], [two]) => one - two).map(([, item]) => item);
}

/** Writes the routes in another way, and changes one of them. */
function pairOf(seed: number, key?: Key) {
  const random = createRandom(seed);
  const written = reword(random, base.routes);
  const at = random.below(written.length);
  const routes = shuffled(
    random,
    written.map((route, index) => (index === at && key !== undefined ? (changes[key](route) as Route) : route)),
  );
  return withRoutes(random.chance(0.3) && routes.every(({ allow }) => allow !== undefined) ? nested(routes) : routes);
}

describe('trust that a route hides', () => {
  test.each(Array.from({ length: 100 }, (_, seed) => seed))('invents none when only text moves (%i)', (seed) => {
    const { access, settings, isWider } = diffOf(base, pairOf(seed));
    expect(access).toEqual([]);
    expect(settings.filter(({ key }) => !key.endsWith('.name'))).toEqual([]);
    expect(isWider).toBe(false);
  });

  test.each(Array.from({ length: 200 }, (_, seed) => [keys[seed % keys.length] as Key, seed] as const))(
    'finds %s in routes that are written in another way (%i)',
    (key, seed) => {
      const { settings, isWider } = diffOf(base, pairOf(seed, key));
      expect(isWider).toBe(true);
      const found = settings.filter((one) => one.class === 'trust' && one.effect === 'wider');
      expect(found.map((one) => one.key.replace(/^routes\[.*\]\./, ''))).toContain(key);
    },
  );

  test('a more specific route that leads elsewhere is found, with a request that shows it', () => {
    const special = { ...orders, name: 'special', path: '/v1/orders/special/**', upstream: 'other' };
    const { settings, access } = diffOf(base, withRoutes([...base.routes, special]));
    expect(access).toEqual([]);
    const [upstream] = settings.filter(({ key }) => key === 'routes[special].upstream');
    expect(upstream).toMatchObject({ before: 'orders', after: 'other', effect: 'wider' });
    expect(upstream?.witness).toMatchObject({ path: '/v1/orders/special' });
  });

  test('a route in a group of another place is compared, too', () => {
    const moved = nested([lists, list, { ...orders, forward: { authorization: true } }, other]);
    const flat = withRoutes([lists, list, orders, other]);
    const { settings } = diffOf(flat, withRoutes(moved));
    expect(settings.map(({ key }) => key)).toEqual(['routes[orders].forward.authorization']);
  });

  test('a cookie that no route names any more reaches every upstream', () => {
    const without = base.routes.map((route) => (route === other ? { ...other, forward: {} } : route));
    const { settings } = diffOf(base, withRoutes(without));
    expect(settings).toContainEqual(
      expect.objectContaining({ key: 'routes[].forward.cookies', before: ['sid'], after: [], effect: 'wider' }),
    );
    expect(diffOf(withRoutes(without), base).settings).toContainEqual(
      expect.objectContaining({ key: 'routes[].forward.cookies', effect: 'narrower' }),
    );
  });

  test('a route that requires sender-constrained tokens no more is wider', () => {
    const origins = { publicOrigins: ['https://api.test'] };
    const bound = base.routes.map((route) => (route === lists ? { ...route, senderConstrained: 'required' } : route));
    const [strict, loose] = [
      { ...withRoutes(bound), ...origins },
      { ...base, ...origins },
    ];
    const { access } = diffOf(strict, loose);
    expect(access.filter(({ effect }) => effect === 'wider').map(({ before }) => before?.code)).toEqual([
      'token_unbound',
    ]);
    expect(diffOf(loose, strict).access.map(({ effect }) => effect)).toContain('narrower');
  });

  test('a name is a label: a renamed route is no change of access', () => {
    const { access, settings, isWider } = diffOf(
      base,
      withRoutes([{ ...reports, name: 'years' }, ...base.routes.filter((one) => one !== reports)]),
    );
    expect([access, isWider]).toEqual([[], false]);
    expect(settings).toEqual([
      expect.objectContaining({ key: 'routes[years].name', before: 'reports', after: 'years', effect: 'changed' }),
    ]);
  });
});

describe('variables', () => {
  const [one, two] = ['${ROLE:-admin}', '${ROLE}'];
  const withRole = (role: string) => withRoutes([{ ...lists, allow: { roles: [role, 'agent'] } }]);
  const key = 'routes[lists].allow.roles';

  test.each([
    ['a default and the same text', one, 'admin'],
    ['a text and a default of the same text', 'admin', one],
    ['a placeholder and the same text', two, 'role'],
    ['two defaults', one, '${ROLE:-agent-two}'],
    ['two variables with one default', one, '${OTHER:-admin}'],
    ['a variable with and without default', one, two],
  ])('%s differ, which counts as wider', (_, before, after) => {
    const { settings, isWider } = diffOf(withRole(before), withRole(after));
    expect(settings).toContainEqual(expect.objectContaining({ key, class: 'policy', effect: 'unknown' }));
    expect(settings.find((change) => change.key === key)).toMatchObject({
      before: [before, 'agent'],
      after: [after, 'agent'],
    });
    expect(isWider).toBe(true);
  });

  test.each([one, two])('the same one is equal, and the order of a list does not matter: %s', (role) => {
    expect(diffOf(withRole(role), withRole(role))).toMatchObject({ access: [], settings: [] });
    const turned = withRoutes([{ ...lists, allow: { roles: ['agent', role] } }]);
    expect(diffOf(withRole(role), turned)).toMatchObject({ access: [], settings: [] });
  });

  test('a variable that moves to another claim differs', () => {
    const claims = (department: string, level: string) =>
      withRoutes([{ ...lists, allow: { claims: { department: [department], level: [level] } } }]);
    expect(diffOf(claims('${X:-a}', 'a'), claims('a', '${X:-a}')).isWider).toBe(true);
  });

  test.each([
    [
      'a target',
      'upstreams.orders.targets',
      (url: string) => ({ ...base, upstreams: { ...base.upstreams, orders: { targets: [url] } } }),
      'https://orders.test',
      '${ORDERS:-https://orders.test}',
    ],
    [
      'a key that an empty default leaves out',
      'redis',
      (redis: string) => ({ ...base, ...(redis !== '' && { redis }) }),
      '',
      '${REDIS_URL:-}',
    ],
    [
      'a key source',
      'issuers[https://idp.test].jwks',
      (jwks: string) => ({ ...base, issuers: [{ ...base.issuers[0], jwks }] }),
      'https://idp.test/jwks',
      '${JWKS:-https://idp.test/jwks}',
    ],
    [
      'a path in a group',
      'routes[lists].path',
      (path: string) => withRoutes([{ path: '/v1', routes: [{ ...lists, path }] }]),
      '/lists',
      '/${P:-lists}',
    ],
  ])('%s from a variable is no text', (_, place, configOf, text, variable) => {
    const changed = diffOf(configOf(text), configOf(variable));
    expect(changed.settings.map((one) => one.key)).toContain(place);
    expect(changed.isWider).toBe(true);
    expect(diffOf(configOf(variable), configOf(variable)).settings).toEqual([]);
  });
});

test('refuses files with more than 200,000 kinds of paths', () => {
  const crossed = (role: string) =>
    withRoutes(
      Array.from({ length: 1000 }, (_, at) => ({
        ...rules,
        methods: ['GET'],
        allow: { roles: [role] },
        name: `r${at}`,
        path: at % 2 ? `/v1/:a/r${at}` : `/v1/l${at}/x`,
      })),
    );
  expect(() => diffOf(crossed('admin'), crossed('agent'))).toThrow('more than 200000 kinds of paths');
});
