import type { GatewayConfig, Route } from '../config/config.ts';
import { ownPatterns } from '../config/own-paths.ts';
import { parsePattern, type Segment, servedMethods } from '../config/path-pattern.ts';
import { AppError } from '../errors.ts';
import { compilePolicy, type Params, type Policy, type PolicyRules } from './policy.ts';

/** The route of a request, with the values of its parameters. */
type Match = Readonly<{ route: Route; policy: Policy; params: Params }>;

/**
 * Finds the route of a request. Segment by segment, a literal beats `:param`, which beats `**`. If a more specific
 * branch leads nowhere, the next one is tried, so the most specific pattern that fits the whole path wins. The path
 * alone decides: a method that is not listed there is refused, never served by a broader route.
 */
export type RouteTable = Readonly<{
  /**
   * Visits each node of the tree at most once, so the cost is bounded by the number of routes and the length of the
   * path.
   *
   * @param path From {@link parseTarget}.
   * @throws AppError `no_route`, and `method_not_allowed` with `Allow`.
   */
  match(method: string, path: string): Match;
  /** The methods of this path, sorted; undefined if no route has this path. */
  methodsAt(path: string): readonly string[] | undefined;
  /** The routes of this path, one for each method. */
  routesAt(path: string): readonly Route[];
  /**
   * The order of the routes does not matter.
   *
   * @throws Error on a malformed path, and on two routes with the same shape and method. The configuration check
   *   refuses both earlier, so this is a bug of ours.
   */
  add(route: Route): void;
}>;

type CompiledRoute = Readonly<{
  route: Route;
  policy: Policy;
  params: readonly (readonly [index: number, name: string])[];
}>;

/** The routes of one path, by method. Without routes: a path of the gateway itself. */
type RoutePlace = {
  readonly routes: Map<string, CompiledRoute>;
  /** Sorted, and with HEAD if it contains GET. */
  allow: readonly string[];
};

type RouteNode = {
  /** Undefined where no literal follows. Most nodes are the last ones of their routes. */
  literals: Map<string, RouteNode> | undefined;
  param: RouteNode | undefined;
  /** Routes whose path ends at this node. */
  end: RoutePlace | undefined;
  /** Routes with `**` at this node. */
  rest: RoutePlace | undefined;
};

const noParams: Params = Object.create(null);

/** A text that is the same for equal rules, sets included. */
const textOf = (rules: PolicyRules): string =>
  JSON.stringify(rules, (_key, part: unknown) => (part instanceof Set ? { set: [...part] } : part));

type ListenerName = keyof typeof ownPatterns;

/** The routes of one listener: those with `auth: service` are internal, all others public. */
export function routesOn(listener: ListenerName, config: Pick<GatewayConfig, 'routes'>): readonly Route[] {
  return config.routes.filter((route) => (route.auth === 'service') === (listener === 'internal'));
}

/** Builds the table of one listener. Where there may be very many routes, they are added one by one later. */
export function createRouteTable(listener: ListenerName, routes: readonly Route[] = []): RouteTable {
  const root = newNode();
  for (const pattern of ownPatterns[listener]) placeFor(root, parsePattern(pattern) as readonly Segment[]);
  const placeOf = (path: string, segments = path.slice(1).split('/')): RoutePlace | undefined => {
    const place = find(root, segments, 0);
    return place?.routes.size === 0 ? undefined : place;
  };
  // Routes with the same rules share one policy: ten thousand of them would not fit into the caches of a processor. So
  // do routes with the same parameters.
  const policies = new Map<string, Policy>();
  const paramLists = new Map<string, CompiledRoute['params']>();
  const paramsOf = (segments: readonly Segment[]): CompiledRoute['params'] => {
    const params = segments.flatMap((segment, index) =>
      segment.kind === 'param' ? [[index, segment.name] as const] : [],
    );
    const key = params.join('/');
    const shared = paramLists.get(key) ?? params;
    paramLists.set(key, shared);
    return shared;
  };
  const policyOf = ({ auth, callers, senderConstrained, allow }: Route): Policy => {
    // The policy is compiled from what the key shows, and from nothing else of the route.
    const rules: PolicyRules = { auth, callers, senderConstrained, allow };
    const key = textOf(rules);
    const policy = policies.get(key) ?? compilePolicy(rules);
    policies.set(key, policy);
    return policy;
  };
  const table: RouteTable = {
    add(route) {
      const segments = parsePattern(route.path);
      if (typeof segments === 'string') throw new Error(`route ${route.name}: path ${segments}`);
      insert(placeFor(root, segments), { route, policy: policyOf(route), params: paramsOf(segments) });
    },
    match(method, path) {
      const segments = path.slice(1).split('/');
      const place = placeOf(path, segments);
      if (place === undefined) throw new AppError('no_route');
      const found = place.routes.get(method);
      if (found === undefined) {
        throw new AppError('method_not_allowed', { headers: { allow: place.allow.join(', ') } });
      }
      const { route, policy, params } = found;
      return { route, policy, params: params.length === 0 ? noParams : readParams(params, segments) };
    },
    methodsAt: (path) => placeOf(path)?.allow,
    routesAt(path) {
      return [...(placeOf(path)?.routes.values() ?? [])].map(({ route }) => route);
    },
  };
  for (const route of routes) table.add(route);
  return table;
}

function readParams(params: CompiledRoute['params'], segments: readonly string[]): Params {
  // Without a prototype: a parameter may have any name.
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

function placeFor(root: RouteNode, segments: readonly Segment[]): RoutePlace {
  let node = root;
  for (const segment of segments) {
    if (segment.kind === 'rest') {
      node.rest ??= newPlace();
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
  node.end ??= newPlace();
  return node.end;
}

function find(node: RouteNode, segments: readonly string[], depth: number): RoutePlace | undefined {
  const segment = segments[depth];
  if (segment === undefined) return node.end ?? node.rest;

  const literal = node.literals?.get(segment);
  const byLiteral = literal && find(literal, segments, depth + 1);
  if (byLiteral !== undefined) return byLiteral;

  // An empty segment is a trailing slash, not a value.
  const byParam = segment === '' ? undefined : node.param && find(node.param, segments, depth + 1);
  return byParam ?? node.rest;
}

const newNode = (): RouteNode => ({ literals: undefined, param: undefined, end: undefined, rest: undefined });
const newPlace = (): RoutePlace => ({ routes: new Map(), allow: [] });
