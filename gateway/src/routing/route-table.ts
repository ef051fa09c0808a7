import type { GatewayConfig, Route } from '../config/config.ts';
import { isOtherSpelling, ownPatterns } from '../config/own-paths.ts';
import {
  foldPath,
  foldPattern,
  parsePattern,
  rewritePattern,
  type Segment,
  servedMethods,
} from '../config/path-pattern.ts';
import { AppError } from '../errors.ts';
import { compilePolicy, type Params, type Policy, type PolicyRules } from './policy.ts';
import { checkPath, checkQuery, invalidTarget, maxRequestTargetBytes, rewritePath } from './request-target.ts';

/** A request target in canonical form. These bytes are matched, signed and sent. */
export type RequestTarget = Readonly<{
  /** Starts with `/` and is still percent-encoded. */
  path: string;
  /** Either empty, or `?` and at least one character. */
  query: string;
}>;

/**
 * Parses a request target, or refuses it. An accepted target equals its WHATWG URL form, so a service that sees only a
 * URL object reads the same bytes, and no later decoder can find another path in it. Normalizes nothing: a target that
 * is not canonical is refused. Takes time linear in the length.
 *
 * @param raw The request line's target, as received.
 * @throws AppError `invalid_target` (with the reason for the log), `uri_too_long`.
 * @see DESIGN section 5, "Targets refused"; CVE-2019-9901, CVE-2021-29492, CVE-2026-33494
 */
export function parseRequestTarget(raw: string): RequestTarget {
  if (raw.length > maxRequestTargetBytes) throw new AppError('uri_too_long');
  if (!raw.startsWith('/')) throw invalidTarget('does not begin with a slash');

  const mark = raw.indexOf('?');
  const path = mark === -1 ? raw : raw.slice(0, mark);
  const query = mark === -1 ? '' : raw.slice(mark);
  if (!plainPath.test(path)) checkPath(path);
  if (query !== '') checkQuery(query);
  return { path, query };
}

/** Most paths: canonical, equal to their folded form, and no other spelling of a path of the gateway. */
const plainPath = /^(?!\/well-known\/)(?:\/[a-z0-9_-]+(?:\.+[a-z0-9_-]+)*)+$/;

export type RouteTable = ReturnType<typeof createRouteTable>;

type CompiledRoute = Readonly<{
  route: Route;
  policy: Policy;
  params: readonly (readonly [index: number, name: string])[];
  upstream: UpstreamPaths;
}>;

/** The routes with one path, by method. A path that the gateway reserves has no routes. */
type RoutePlace = {
  readonly routes: Map<string, CompiledRoute>;
  /** Sorted. Contains HEAD if it contains GET. */
  allow: readonly string[];
  /** Whether folding changes nothing in its path, so that it matches the same plain paths folded and as they are. */
  readonly isPlain: boolean;
  readonly path: string;
};

/** The paths that one upstream receives, folded. */
type UpstreamPaths = Readonly<{
  root: RouteNode;
  /** How routes change paths for it. If all do the same, it sees paths apart that the route table keeps apart. */
  rewrites: Set<string>;
}>;

type RouteNode = {
  /** Undefined if no literal follows, which is usual because most nodes are leaves. */
  literals: Map<string, RouteNode> | undefined;
  param: RouteNode | undefined;
  end: RoutePlace | undefined;
  rest: RoutePlace | undefined;
};

const noParams: Params = Object.create(null);

/** Returns equal texts for equal rules, even if they contain sets. */
const textOf = (rules: PolicyRules): string =>
  JSON.stringify(rules, (_key, part: unknown) => (part instanceof Set ? { set: [...part] } : part));

type ListenerName = keyof typeof ownPatterns;

/** Returns a listener's routes: those with `auth: service` are internal, and all others are public. */
export function routesOn(listener: ListenerName, config: Pick<GatewayConfig, 'routes'>): readonly Route[] {
  return config.routes.filter((route) => (route.auth === 'service') === (listener === 'internal'));
}

/**
 * Builds a listener's route table, which finds the route for a request. In each segment, a literal beats `:param`,
 * which beats `**`. If a more specific branch does not match, the next one is tried, so the most specific pattern that
 * fits the whole path wins. The path alone decides: a method that is not listed there is refused, never served by a
 * broader route.
 *
 * Routers differ in what they ignore. A path that the most tolerant one would take to another route is refused, unless
 * its upstream has `paths: exact`.
 *
 * @param routes Their order does not matter. To add very many routes, add them one by one later.
 */
export function createRouteTable(listener: ListenerName, routes: readonly Route[] = []) {
  const root = newNode();
  const foldedRoot = newNode();
  const upstreams = new Map<string, UpstreamPaths>();
  for (const pattern of ownPatterns[listener]) {
    placeFor(root, parsePattern(pattern) as readonly Segment[], () => newPlace(pattern));
  }

  const placeOf = (path: string, segments = path.slice(1).split('/')): RoutePlace | undefined => {
    const isPlain = plainPath.test(path);
    const folded = isPlain ? segments : foldPath(path);
    const tolerant = find(foldedRoot, folded, 0);
    if (isPlain && tolerant?.isPlain !== false) return tolerant;
    if (!isPlain && isOtherSpelling(listener, path, folded)) throw otherSpelling(`/${folded.join('/')}`);
    const place = find(root, segments, 0);
    if (place?.routes.size === 0) return undefined;
    if (tolerant !== undefined && tolerant !== place && !isExact(place)) throw otherSpelling(tolerant.path);
    return place;
  };
  const pathsOf = ({ name }: Route['upstream']): UpstreamPaths => {
    const paths = upstreams.get(name) ?? { root: newNode(), rewrites: new Set() };
    upstreams.set(name, paths);
    return paths;
  };
  /** @returns The path for the upstream. Refuses one that reads there as a path with other rules. */
  const sentPath = (path: string, method: string, { route, policy, upstream }: CompiledRoute): string => {
    if (route.rewrite === undefined && upstream.rewrites.size === 1) return path;
    const sent = rewritePath(path, route.rewrite);
    if (route.upstream.paths === 'exact') return sent;
    const folded = plainPath.test(sent) ? sent.slice(1).split('/') : foldPath(sent);
    if (isOtherSpelling(listener, sent, folded)) throw otherSpelling(`/${folded.join('/')}`);
    const place = find(upstream.root, folded, 0);
    if (place !== undefined && place.routes.get(method)?.policy !== policy) throw otherSpelling(place.path);
    return sent;
  };
  // Routes with the same rules share one policy, because ten thousand separate policies would not fit into the
  // processor's caches.
  const policies = new Map<string, Policy>();
  const policyOf = ({ auth, callers, senderConstrained, allow }: Route): Policy => {
    // Compiles the policy only from what the key contains, and from nothing else in the route.
    const rules: PolicyRules = { auth, callers, senderConstrained, allow };
    const key = textOf(rules);
    const policy = policies.get(key) ?? compilePolicy(rules);
    policies.set(key, policy);
    return policy;
  };
  const table = {
    /** @throws Error for what the configuration check refuses: a malformed path, two routes with one shape. */
    add(route: Route): void {
      const segments = parsePattern(route.path);
      if (typeof segments === 'string') throw new Error(`route ${route.name}: path ${segments}`);
      const params = segments.flatMap((segment, index) =>
        segment.kind === 'param' ? [[index, segment.name] as const] : [],
      );
      const upstream = pathsOf(route.upstream);
      upstream.rewrites.add(JSON.stringify(route.rewrite));
      const compiled = { route, policy: policyOf(route), params, upstream };
      const folded = foldPattern(segments);
      const place = placeFor(root, segments, () => newPlace(route.path, isEqualPattern(segments, folded)));
      placeFor(foldedRoot, folded, () => place);
      insert(place, compiled);
      const sent = foldPattern(rewritePattern(segments, route.rewrite));
      const received = placeFor(upstream.root, sent, () => newPlace(route.path));
      for (const method of servedMethods(route.methods)) {
        if (!received.routes.has(method)) received.routes.set(method, compiled);
      }
    },
    /**
     * Finds the route, with its parameters' values and the path for its upstream. Visits each node in the tree at most
     * once, so the number of routes and the length of the path limit the cost.
     *
     * @param path From `parseRequestTarget`.
     * @throws AppError `no_route`, `method_not_allowed` with `Allow`, and `invalid_target` for another spelling of
     *   another route's path.
     */
    match(method: string, path: string) {
      const segments = path.slice(1).split('/');
      const place = placeOf(path, segments);
      if (place === undefined) throw new AppError('no_route');
      const found = place.routes.get(method);
      if (found === undefined) {
        throw new AppError('method_not_allowed', { headers: { allow: place.allow.join(', ') } });
      }
      const { route, policy, params } = found;
      return {
        route,
        policy,
        params: params.length === 0 ? noParams : readParams(params, segments),
        path: sentPath(path, method, found),
      };
    },
    /** Sorted. Undefined if no route has this path. Throws like {@link match}. */
    methodsAt: (path: string) => placeOf(path)?.allow,
    /** The routes with this path, one for each method. Throws like {@link match}. */
    routesAt(path: string): readonly Route[] {
      return [...(placeOf(path)?.routes.values() ?? [])].map(({ route }) => route);
    },
  };
  for (const route of routes) table.add(route);
  return table;
}

const otherSpelling = (path: string): AppError => invalidTarget(`another spelling of ${path}`);

/** Whether only services that route exactly would receive the request. */
const isExact = (place: RoutePlace | undefined): boolean =>
  place !== undefined && [...place.routes.values()].every(({ route }) => route.upstream.paths === 'exact');

const isEqualPattern = (left: readonly Segment[], right: readonly Segment[]): boolean =>
  JSON.stringify(left) === JSON.stringify(right);

function readParams(params: CompiledRoute['params'], segments: readonly string[]): Params {
  // Without a prototype, because a parameter may have any name.
  const values: Record<string, string> = Object.create(null);
  for (const [index, name] of params) values[name] = decodeURIComponent(segments[index] ?? '');
  return values;
}

function insert(place: RoutePlace, compiled: CompiledRoute): void {
  const { route } = compiled;
  for (const method of servedMethods(route.methods)) {
    if (place.routes.has(method)) throw new Error(`route ${route.name}: ${method} is already served at ${route.path}`);
    place.routes.set(method, compiled);
  }
  place.allow = [...place.routes.keys()].sort();
}

function placeFor(root: RouteNode, segments: readonly Segment[], make: () => RoutePlace): RoutePlace {
  let node = root;
  for (const segment of segments) {
    if (segment.kind === 'rest') {
      node.rest ??= make();
      return node.rest;
    }
    if (segment.kind === 'param') {
      node.param ??= newNode();
      node = node.param;
    } else {
      node.literals ??= new Map();
      const next = node.literals.get(segment.text) ?? newNode();
      node.literals.set(segment.text, next);
      node = next;
    }
  }
  node.end ??= make();
  return node.end;
}

function find(node: RouteNode, segments: readonly string[], depth: number): RoutePlace | undefined {
  const segment = segments[depth];
  if (segment === undefined) return node.end ?? node.rest;

  const literal = node.literals?.get(segment);
  const byLiteral = literal && find(literal, segments, depth + 1);
  if (byLiteral !== undefined) return byLiteral;

  // An empty segment stands for a trailing slash, so it is not a value.
  const byParam = segment === '' ? undefined : node.param && find(node.param, segments, depth + 1);
  return byParam ?? node.rest;
}

const newNode = (): RouteNode => ({ literals: undefined, param: undefined, end: undefined, rest: undefined });
const newPlace = (path: string, isPlain = false): RoutePlace => ({ routes: new Map(), allow: [], isPlain, path });
