import { isDeepStrictEqual } from 'node:util';
import type { GatewayConfig, Issuer, Route } from '../config/config.ts';
import type { Outline } from '../config/load.ts';
import { intersectionOf, parsePattern, type Segment, servedMethods } from '../config/path-pattern.ts';
import { issuerOf } from '../explain/callers.ts';
import { rewritePath } from '../routing/request-target.ts';
import { compareCallers, type Difference, type Token, tenantSegment } from './callers.ts';
import { Incomparable } from './claim-examples.ts';
import { type Asked, createEngine, type Engine, type Target } from './engine.ts';
import { changedShapes, exceptionsOf, freshFor, type Listener, type PathShape, pathOf } from './path-shapes.ts';
import { isAlike as isAlikeDecision } from './regions.ts';
import { type AccessChange, type Decision, type Effect, methods, type Witness } from './report-schema.ts';
import { readingOf, remembered } from './token-reading.ts';

type Engines = readonly [Engine, Engine];
type ChangedMethod = AccessChange['methods'][number];

/** A change without its places. `before` and `after` are null if it could not be compared. */
type Found = Pick<AccessChange, 'caller' | 'conditions' | 'such' | 'before' | 'after' | 'why'> &
  Pick<Difference, 'asked' | 'segments'>;

/** A change at one place. Changes with the same key are one class. */
type Seen = Readonly<{ key: string; found: Found; listener: Listener; shape: PathShape; method: ChangedMethod }>;

/** Two routes that serve the same requests, one in each file. */
export type RoutePair = Readonly<{
  before: Route;
  after: Route;
  /** Whether their upstreams receive the same paths. */
  isSentAlike: boolean;
  /** One of these requests. */
  witness: Witness;
}>;

type Pairs = Map<string, RoutePair>;
type Read = Pick<Outline, 'config' | 'variablesAt'>;

/**
 * Finds every request that one configuration decides differently from the other, as classes with a witness each, and
 * the routes that serve the same requests.
 */
export function compareAccess(before: Read, after: Read, nowMs: number) {
  const engines: Engines = [createEngine(before.config), createEngine(after.config)];
  const pairs: Pairs = new Map();
  const textOf = routeTexts([before, after]);
  const seen = [
    ...changesOn('public', engines, textOf, pairs, nowMs),
    ...changesOn('internal', engines, textOf, pairs, nowMs),
    ...changedPreflights(engines, textOf, nowMs),
  ];
  const access = [...Map.groupBy(seen, ({ key }) => key).values()].flatMap((all) => {
    const places = Map.groupBy(all, ({ shape }) => shape);
    return Array.from(Map.groupBy(places.values(), (place) => methodsIn(place).join()).values(), classOf);
  });
  return { access, pairs: [...pairs.values()] };
}

const methodsIn = (place: readonly Seen[]) => place.map(({ method }) => method);

/** @param places Those with the same methods. */
function classOf(places: readonly (readonly Seen[])[]): AccessChange {
  const [{ found, listener, shape, method }] = places[0] as readonly [Seen];
  const { asked, segments, ...change } = found;
  return {
    ...change,
    effect: effectOf(change),
    listener,
    paths: places.flatMap(([one]) =>
      one === undefined ? [] : [{ path: one.shape.text, not: exceptionsOf(one.shape) }],
    ),
    methods: methodsIn(places[0] ?? []),
    witness: witnessOf(method, pathOf(shape, segments), asked, change.caller.origins?.[0]),
  };
}

function effectOf({ before, after }: Pick<Found, 'before' | 'after'>): Effect {
  if (before === null || after === null) return 'unknown';
  if ((before.code === null) === (after.code === null)) return 'changed';
  return after.code === null ? 'wider' : 'narrower';
}

function* changesOn(
  listener: Listener,
  engines: Engines,
  routeText: (route: Route) => string,
  pairs: Pairs,
  nowMs: number,
): Generator<Seen> {
  const configs = engines.map(({ config }) => config);
  const services = [...new Set(configs.flatMap((config) => [...config.services.keys()]))];
  const tokens = tokensOf(configs, listener);
  const isAlike = tokens.every((token) => token?.isAlike !== false);
  const texts = new Map(
    configs.flatMap(({ routes }, side) =>
      routes.map((route) => [route, routeText(route) + (isAlike || route.auth === 'public' ? '' : side)]),
    ),
  );
  const textOf = (route: Route) => texts.get(route) ?? '';
  const ids = new Map<unknown, number>();
  const idOf = (one: unknown) => remembered(ids, one, () => ids.size);
  // Thousands of routes have a few policies, so callers are compared once for each pair of policies.
  const known = new Map<string, readonly (readonly [id: number, found: Found])[]>();
  const compare = (targets: readonly Target[], shape: PathShape, method: string) =>
    (listener === 'public' ? [undefined] : groupsOf(services, targets))
      .flatMap((names) => tokens.flatMap((token) => findIn(targets, token, names, shape)))
      .filter((found) => isPossible(found, engines, pathOf(shape, found.segments), listener, method, nowMs))
      .map((found) => [idOf(JSON.stringify(found, withoutExamples)), found] as const);
  const alike = methodsAlike(configs);
  for (const shape of changedShapes(listener, configs, textOf)) {
    const path = pathOf(shape);
    const matched = new Map<string, readonly Target[]>();
    for (const method of methods) {
      const same = alike.get(method) ?? method;
      const targets = remembered(matched, same, () => engines.map((engine) => engine.match(listener, same, path)));
      const [was, is] = targets.map((one) => (one.code === undefined ? textOf(one.route) : one.code));
      if (was === is) continue;
      addPair(pairs, targets, path, method);
      const names = targets.map((one) => (one.code === undefined ? one.route.name : null));
      const places = targets.map((target) => tenantPlace(target, shape));
      const key = JSON.stringify([targets.map(({ code, policy }) => idOf(code ?? policy)), places]);
      for (const [id, found] of remembered(known, key, () => compare(targets, shape, method)))
        yield { key: JSON.stringify([listener, id, names]), found: named(found, names), listener, shape, method };
    }
  }
}

/** For each method, one that the same routes serve, so that every path treats both alike. */
function methodsAlike(configs: readonly GatewayConfig[]): ReadonlyMap<string, string> {
  const routes = configs.flatMap((config) => config.routes);
  const servedBy = (method: string) =>
    method === 'WebSocket' ? method : routes.map((one) => Number(servedMethods(one.methods).includes(method))).join('');
  const groups = Map.groupBy(methods, servedBy);
  return new Map([...groups.values()].flatMap((all) => all.map((method) => [method, all[0] ?? method] as const)));
}

const withoutExamples = (key: string, value: unknown) =>
  key === 'asked' || key === 'segments' || key === 'such' || key === 'route' ? undefined : value;

/** The same change of other routes, which have the same rules. */
const named = (found: Found, [was = null, is = null]: readonly (string | null)[]): Found => ({
  ...found,
  before: found.before && { ...found.before, route: was },
  after: found.after && { ...found.after, route: is },
});

/** Proves the witness: both engines decide as the comparison says. @returns False if a token would be too large. */
function isPossible(
  { before, after, asked }: Found,
  engines: Engines,
  path: string,
  listener: Listener,
  method: string,
  nowMs: number,
): boolean {
  const decided = engines.map((engine) => engine.decide(engine.match(listener, method, path), asked, nowMs));
  const isRight = before === null || isDeepStrictEqual(decided, [before, after]);
  if (isRight || decided.some(({ code }) => code === 'token_context_too_long')) return isRight;
  throw new Error(`${method} ${path} ${JSON.stringify({ asked, before, after, decided })}`);
}

/** Preflight requests, which no route receives if `cors` is set. */
function* changedPreflights(engines: Engines, routeText: (route: Route) => string, nowMs: number): Generator<Seen> {
  const configs = engines.map(({ config }) => config);
  const lists = configs.map(({ cors }) => cors?.origins ?? []);
  const origins = [...new Set(lists.flat())];
  if (origins.length === 0) return;
  const memberships = (origin: string) => lists.map((list) => list.includes(origin)).join();
  const alike = Map.groupBy([...origins, 'https://other.invalid'], memberships);
  const isChanged = origins.some((origin) => memberships(origin) !== 'true,true');
  for (const shape of changedShapes('public', configs, routeText, isChanged)) {
    const path = pathOf(shape);
    for (const group of alike.values()) {
      const [before, after] = engines.map(({ config: { cors }, match, decide, preflight }) =>
        cors ? preflight(path, group[0] ?? '', cors) : decide(match('public', 'OPTIONS', path), {}, nowMs),
      ) as [Decision, Decision];
      if (isAlikeDecision(before, after)) continue;
      const found = { ...unexplained, before, after, caller: { kind: 'page', origins: group } as const };
      yield { key: JSON.stringify(found), found, listener: 'public', shape, method: 'preflight' };
    }
  }
}

const unexplained = { conditions: [], such: [], why: null, asked: {}, segments: new Map<number, string>() };

/** Everything that can differ between two routes. Equal texts mean equal routes. */
function routeTexts(files: readonly Read[]): (route: Route) => string {
  const texts = new Map(
    files.flatMap(({ config: { routes }, variablesAt }) =>
      routes.map(({ upstream: { name, paths }, inherited: _, ...route }, index) => {
        const variables = Object.keys(route).map((key) => variablesAt(['routes', index, key]));
        const text = JSON.stringify([route, name, paths, variables], (key, value: unknown) =>
          // Cookies that other routes name are compared once.
          key === 'guarded' ? undefined : value instanceof Set ? [...value] : value,
        );
        return [routes[index], text] as const;
      }),
    ),
  );
  return (route) => texts.get(route) ?? '';
}

function addPair(pairs: Pairs, [was, is]: readonly Target[], path: string, method: string): void {
  if (was?.code !== undefined || is?.code !== undefined || was === undefined || is === undefined) return;
  const [before, after] = [was.route, is.route];
  const key = `${before.name} ${after.name}`;
  const known = pairs.get(key);
  const isSentAlike = rewritePath(path, before.rewrite) === rewritePath(path, after.rewrite);
  if (known !== undefined && (isSentAlike || !known.isSentAlike)) return;
  const [service] = after.callers;
  pairs.set(key, { before, after, isSentAlike, witness: witnessOf(method as ChangedMethod, path, { service }, '') });
}

/** What the rule about tenants sees of the path. */
function tenantPlace(target: Target, shape: PathShape): unknown {
  const at = tenantSegment(target);
  return at === undefined ? null : [at, shape.segments[at], [...(shape.taken[at] ?? [])]];
}

const untrusted = 'https://untrusted.invalid';

/** No token, and the users and OAuth clients of every issuer that one of the files trusts, and of no issuer. */
function tokensOf(configs: readonly GatewayConfig[], listener: Listener): readonly (Token | undefined)[] {
  const tokens = issesOf(configs).flatMap((one) => {
    const issuers = configs.map((config) => issuerOf(config.issuers, one.iss));
    const isAlike = new Set(issuers.map((issuer) => issuer && readingOf(issuer))).size === 1;
    return (['user', 'client'] as const).map((kind) => ({ ...one, kind, issuers, isAlike }));
  });
  // A service acts only for callers whose tokens the gateway has read.
  const stranger = { iss: untrusted, kind: 'user', issuers: [], isAlike: true } as const;
  return [undefined, ...tokens, ...(listener === 'public' ? [stranger] : [])];
}

/** Every `iss` that something in the files tells apart, and one for all others that a template takes. */
function issesOf(configs: readonly GatewayConfig[]): readonly Pick<Token, 'iss' | 'others'>[] {
  const [issuers, routes] = [configs.flatMap((config) => config.issuers), configs.flatMap((config) => config.routes)];
  const open = issuers.filter(({ template }) => template !== undefined && template.value === undefined);
  const parties = routes.flatMap(({ allow: { clients = 'any', actors = [] } }) => [
    ...actors,
    ...(clients === 'any' ? [] : clients),
  ]);
  // A word that no issuer may name as a tenant is refused like any other.
  const isTenant = (word: string) => issuers.some(({ tenants }) => tenants?.has(word) !== false);
  const beside = open.length === 0 ? [] : besideTenants(routes).filter(isTenant);
  const words = new Set([...issuers.flatMap(({ tenants = [] }) => [...tenants]), ...beside]);
  const issOf = ({ issuer, template, tenantPrefix: prefix }: Issuer, word: string) =>
    issuer.replace(`{${template?.variable}}`, word.startsWith(prefix) ? word.slice(prefix.length) : word);
  const all = [
    ...[...issuers, ...parties].map(({ issuer = '' }) => issuer),
    ...open.flatMap((issuer) => Array.from(words, (word) => issOf(issuer, word))),
  ];
  const named = [...new Set(all)].filter((iss) => issuerOf(issuers, iss) !== undefined);
  const rest = open.map((issuer) => {
    const not = named.filter((iss) => issuerOf([issuer], iss) !== undefined);
    return { iss: issOf(issuer, freshFor(words, 'other-tenant')), others: { issuer: issuer.issuer, not } };
  });
  return [...named.map((iss) => ({ iss })), ...new Map(rest.map((one) => [one.iss, one])).values()];
}

/** The words that routes have where a tenant can stand: no parameter has their value there, but a tenant may. */
function besideTenants(routes: readonly Route[]): readonly string[] {
  const patterns = routes.map(({ path }) => parsePattern(path) as readonly Segment[]);
  return routes.flatMap((route, index) => {
    const at = tenantSegment({ route });
    const start = patterns[index]?.slice(0, at) ?? [];
    return patterns.flatMap((other) => {
      const segment = at === undefined ? undefined : other[at];
      if (segment?.kind !== 'literal' || intersectionOf(other.slice(0, at), start) === undefined) return [];
      return [segment.text, segment.text.toLowerCase()];
    });
  });
}

/** Services that both targets treat alike. */
const groupsOf = (services: readonly string[], targets: readonly Target[]): readonly (readonly string[])[] => [
  ...Map.groupBy(services, (name) => targets.map(({ route }) => route?.callers.has(name)).join()).values(),
];

function findIn(
  targets: readonly Target[],
  token: Token | undefined,
  services: readonly string[] | undefined,
  shape: PathShape,
): readonly Found[] {
  const service = services?.[0];
  const kind = service !== undefined ? 'service' : token === undefined ? 'anonymous' : 'token';
  const isTrusted = token?.iss !== untrusted;
  const holder = isTrusted
    ? { token: token?.kind, issuer: token?.iss, ...token?.others }
    : { token: 'untrusted' as const };
  const caller = { kind, ...holder, services } as const;
  try {
    return compareCallers(targets, { token, service }, shape).map((one) => ({ ...one, caller, why: null }));
  } catch (error) {
    if (!(error instanceof Incomparable)) throw error;
    const asked = { payload: token && { iss: token.iss }, service };
    return [{ ...unexplained, before: null, after: null, caller, why: error.message, asked }];
  }
}

const upgrade = [
  ...['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'],
  'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
];

/** Returns the question for `explain`. @param origin Of the page that sends a preflight. */
function witnessOf(
  method: ChangedMethod,
  path: string,
  { payload, service }: Asked,
  origin: string | undefined,
): Witness {
  const asked = {
    ...(payload !== undefined && { payload: JSON.stringify(payload) }),
    ...(service !== undefined && { service }),
  };
  if (method === 'WebSocket') return { method: 'GET', path, headers: upgrade, ...asked };
  if (method !== 'preflight') return { method, path, ...asked };
  return { method: 'OPTIONS', path, headers: [`Origin: ${origin}`, 'Access-Control-Request-Method: GET'] };
}
