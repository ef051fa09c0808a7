import { isDeepStrictEqual } from 'node:util';
import type { GatewayConfig, Route } from '../config/config.ts';
import { issuerOf } from '../explain/callers.ts';
import { compareCallers, type Difference, type Population, readingOf } from './callers.ts';
import { Incomparable } from './claim-examples.ts';
import { createEngine, type Engine, type Target } from './engine.ts';
import { changedShapes, type Listener, type PathShape } from './path-shapes.ts';
import { type AccessChange, type Decision, type Effect, type Method, methods } from './report-schema.ts';
import { exceptionsOf, pathOf, witnessOf } from './witness.ts';

type Engines = readonly [Engine, Engine];
type ChangedMethod = AccessChange['methods'][number];

/** A change without its places. `before` and `after` are null if it could not be compared. */
type Found = Pick<AccessChange, 'caller' | 'conditions' | 'such' | 'before' | 'after' | 'why'> &
  Pick<Difference, 'asked' | 'segments'>;

/** Where a change was found: one path shape, and the methods. */
type Place = Readonly<{ methods: ChangedMethod[] }> & Pick<AccessChange, 'witness'> & AccessChange['paths'][number];
type Places = Map<string, Readonly<{ found: Found; listener: Listener; places: Map<string, Place> }>>;

/** Finds every request that one configuration decides differently from the other, as classes with a witness each. */
export function compareAccess(before: GatewayConfig, after: GatewayConfig, nowMs: number): readonly AccessChange[] {
  const engines: Engines = [createEngine(before, nowMs), createEngine(after, nowMs)];
  const found: Places = new Map();
  for (const listener of ['public', 'internal'] as const) compareListener(listener, engines, found);
  comparePreflights(engines, found);
  return [...found.values()].flatMap(({ found: { asked: _, segments: __, ...change }, listener, places }) => {
    const alike = Map.groupBy(places.values(), (place) => place.methods.join());
    return [...alike.values()].flatMap((all) => {
      const [first] = all;
      const paths = all.map(({ path, not }) => ({ path, not }));
      if (first === undefined) return [];
      return { ...change, effect: effectOf(change), listener, paths, methods: first.methods, witness: first.witness };
    });
  });
}

function effectOf({ before, after }: Pick<Found, 'before' | 'after'>): Effect {
  if (before === null || after === null) return 'unknown';
  if ((before.code === null) === (after.code === null)) return 'changed';
  return after.code === null ? 'wider' : 'narrower';
}

function compareListener(listener: Listener, engines: Engines, places: Places): void {
  const configs = engines.map(({ config }) => config);
  const isSame = new Set(configs.map(({ issuers }) => issuers.map(readingOf).sort().join())).size === 1;
  const keyOf = (route: Route, side: number) => decisiveText(route) + (isSame || route.auth === 'public' ? '' : side);
  const known = new Map<string, readonly Found[]>();
  const services = [...new Set(configs.flatMap((config) => [...config.services.keys()]))];
  const tokens = tokensOf(configs, listener);
  for (const shape of changedShapes(listener, configs, keyOf)) {
    for (const method of methods) {
      const targets = engines.map((engine) => engine.match(listener, method, pathOf(shape)));
      const keys = targets.map((one, side) => (one.route === undefined ? one.code : keyOf(one.route, side)));
      if (keys[0] === keys[1]) continue;
      const key = JSON.stringify([keys, targets.map((target) => tenantPlace(target, shape))]);
      const callers = listener === 'public' ? [undefined] : groupsOf(services, targets);
      const all =
        known.get(key) ?? callers.flatMap((names) => tokens.flatMap((token) => findIn(targets, token, names, shape)));
      known.set(key, all);
      const at = { listener, shape, method };
      for (const found of all) if (isPossible(found, engines, at)) add(places, found, at);
    }
  }
}

/** Proves the witness: both engines decide as the comparison says. @returns False if a token would be too large. */
function isPossible(
  found: Found,
  engines: Engines,
  { listener, shape, method }: At & Readonly<{ method: Method }>,
): boolean {
  const { before, after, asked, segments } = found;
  const decided = engines.map((engine) => engine.decide(listener, method, pathOf(shape, segments), asked));
  const isRight = before === null || isDeepStrictEqual(decided, [before, after]);
  if (isRight || decided.some(({ code }) => code === 'token_context_too_long')) return isRight;
  throw new Error(`${method} ${pathOf(shape, segments)} ${JSON.stringify({ asked, before, after, decided })}`);
}

/** Preflight requests, which no route receives if `cors` is set. */
function comparePreflights(engines: Engines, places: Places): void {
  const configs = engines.map(({ config }) => config);
  const lists = configs.map(({ cors }) => cors?.origins ?? []);
  const origins = [...new Set(lists.flat())];
  if (origins.length === 0) return;
  const memberships = (origin: string) => lists.map((list) => list.includes(origin)).join();
  const alike = Map.groupBy([...origins, 'https://other.invalid'], memberships);
  const isChanged = origins.some((origin) => memberships(origin) !== 'true,true');
  for (const shape of changedShapes('public', configs, decisiveText, isChanged)) {
    for (const group of alike.values()) {
      const [before, after] = engines.map((engine) => engine.preflight(pathOf(shape), group[0] ?? '')) as [
        Decision,
        Decision,
      ];
      const found = { ...unexplained, before, after, caller: { kind: 'page', origins: group } as const };
      if (!isDeepStrictEqual(before, after)) add(places, found, { listener: 'public', shape, method: 'preflight' });
    }
  }
}

const unexplained = { conditions: [], such: [], why: null, asked: {}, segments: new Map<number, string>() };

/** Everything about a route that can change a decision. */
function decisiveText({ methods: all, upstream, callers, ...route }: Route): string {
  const { name, path, auth, senderConstrained, allow, websocket, rewrite } = route;
  const text = [name, path, auth, senderConstrained, allow, websocket, rewrite, upstream.name, upstream.paths];
  return JSON.stringify([...text, [...all].sort(), [...callers]]);
}

/** What the rule about tenants sees of the path. */
function tenantPlace({ route }: Target, shape: PathShape): unknown {
  const at = route?.allow.tenant === undefined ? -1 : route.path.slice(1).split('/').indexOf(route.allow.tenant);
  const taken = shape.taken[at];
  return at === -1 ? null : [at, taken === undefined ? shape.segments[at] : [...taken]];
}

const untrusted = 'https://untrusted.invalid';

/** No token, and the users and OAuth clients of every issuer that one of the files trusts, and of no issuer. */
function tokensOf(configs: readonly GatewayConfig[], listener: Listener): readonly Population['token'][] {
  const isses = configs.flatMap(({ issuers }) =>
    // A template that takes any value stands for an issuer that no file names.
    issuers.map(({ issuer, template }) => issuer.replace(`{${template?.variable}}`, 'other-tenant')),
  );
  const tokens = [...new Set(isses)].flatMap((iss) => {
    const issuers = configs.map((config) => issuerOf(config.issuers, iss));
    return (['user', 'client'] as const).map((kind) => ({ iss, kind, issuers }));
  });
  // A service acts only for callers whose tokens the gateway has read.
  const stranger = { iss: untrusted, kind: 'user', issuers: [] } as const;
  return [undefined, ...tokens, ...(listener === 'public' ? [stranger] : [])];
}

/** Services that both targets treat alike. */
const groupsOf = (services: readonly string[], targets: readonly Target[]): readonly (readonly string[])[] => [
  ...Map.groupBy(services, (name) => targets.map(({ route }) => route?.callers.has(name)).join()).values(),
];

function findIn(
  targets: readonly Target[],
  token: Population['token'],
  services: readonly string[] | undefined,
  shape: PathShape,
): readonly Found[] {
  const service = services?.[0];
  const kind = service !== undefined ? 'service' : token === undefined ? 'anonymous' : 'token';
  const isTrusted = token?.iss !== untrusted;
  const holder = isTrusted ? { token: token?.kind, issuer: token?.iss } : { token: 'untrusted' as const };
  const caller = { kind, ...holder, services } as const;
  try {
    return compareCallers(targets, { token, service }, shape).map((one) => ({ ...one, caller, why: null }));
  } catch (error) {
    if (!(error instanceof Incomparable)) throw error;
    const asked = { payload: token && { iss: token.iss }, service };
    return [{ ...unexplained, before: null, after: null, caller, why: error.message, asked }];
  }
}

type At = Readonly<{ listener: Listener; shape: PathShape; method: ChangedMethod }>;

function add(places: Places, found: Found, { listener, shape, method }: At): void {
  const { asked, segments, such: _, ...rest } = found;
  const key = JSON.stringify([listener, rest]);
  const entry = places.get(key) ?? { found, listener, places: new Map() };
  places.set(key, entry);
  const place = entry.places.get(shape.text);
  if (place !== undefined) place.methods.push(method);
  else {
    const witness = witnessOf(method, pathOf(shape, segments), asked, found.caller.origins?.[0]);
    entry.places.set(shape.text, { path: shape.text, not: exceptionsOf(shape), methods: [method], witness });
  }
}
