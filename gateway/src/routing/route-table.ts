import type { GatewayConfig, Route } from '../config/config.ts';
import { ownPatterns } from '../config/own-paths.ts';
import { parsePattern, type Segment, servedMethods } from '../config/path-pattern.ts';
import { AppError } from '../errors.ts';
import { compilePolicy, type Params, type Policy, type PolicyRules } from './policy.ts';

/** A request target in canonical form. These bytes are matched, signed and sent. */
export type RequestTarget = Readonly<{
  /** Starts with `/` and is still percent-encoded. */
  path: string;
  /** Either empty, or `?` and at least one character. */
  query: string;
}>;

/** The longest accepted request target, in bytes. RFC 9112 section 3 recommends at least 8000. */
export const maxRequestTargetBytes = 8192;

type Flaw = readonly [pattern: RegExp, reason: string];

/** What a canonical path may not contain. */
const pathFlaws: readonly Flaw[] = [
  // Everything except RFC 3986's pchar without `;`. Some servers cut off `;` parameters before they match a path
  // (CVE-2026-73551).
  [/[^A-Za-z0-9._~!$&'()*+,=:@%/-]/, 'a character that a path may not contain'],
  [/%(?![0-9A-Fa-f]{2})/, 'a bad percent-encoding'],
  [/\/\//, 'an empty segment'],
  [/\/\.\.?(?:\/|$)/, 'a dot segment'],
  [/%(?:[01]|7f)/i, 'an encoded control character'],
  [/%(?:2f|5c)/i, 'an encoded slash or backslash'],
  // Decoding would turn this into a path parameter.
  [/%3b/i, 'an encoded semicolon'],
  [/%(?:2[de]|3\d|4[1-9a-f]|5[0-9af]|6[1-9a-f]|7[0-9ae])/i, 'an encoded unreserved character'],
];

/** What a canonical query may not contain. */
const queryFlaws: readonly Flaw[] = [
  // Excludes `'`, which WHATWG URLs write as %27 in a query. Includes `[` and `]`, which browsers do not escape.
  [/[^A-Za-z0-9._~!$&()*+,=:@;?[\]%/-]/, 'a character that a query may not contain'],
  [/%(?![0-9A-Fa-f]{2})/, 'a bad percent-encoding'],
  // WHATWG URLs drop a lone `?`, so the service's URL would differ from ours.
  [/^\?$/, 'an empty query'],
  [/%00/, 'an encoded NUL'],
];

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
  if (!raw.startsWith('/')) throw refused('does not begin with a slash');

  const mark = raw.indexOf('?');
  const path = mark === -1 ? raw : raw.slice(0, mark);
  const query = mark === -1 ? '' : raw.slice(mark);
  if (!usualPath.test(path)) checkPath(path);
  if (query !== '') refuseFlaws(query, queryFlaws);
  return { path, query };
}

// Matches most paths: segments of letters, digits and a few other characters, none of which begins with a dot.
const usualPath = /^(?:\/[A-Za-z0-9_~-][A-Za-z0-9_~.-]*)+$/;

function checkPath(path: string): void {
  refuseFlaws(path, pathFlaws);
  if (!path.includes('%')) return;
  // A lax decoder would read overlong forms such as %c0%ae as dots.
  try {
    decodeURIComponent(path);
  } catch (cause) {
    throw refused('escapes that are not UTF-8', cause);
  }
}

function refuseFlaws(text: string, flaws: readonly Flaw[]): void {
  for (const [pattern, reason] of flaws) if (pattern.test(text)) throw refused(reason);
}

function refused(reason: string, cause?: unknown): AppError {
  return new AppError('invalid_target', { detail: { reason }, cause });
}

/**
 * Replaces a path's prefix for the upstream, by whole segments: `/v1` never changes `/v10`.
 *
 * @param path A canonical path that matched the route. The result is canonical too.
 */
export function rewritePath(path: string, rewrite: Route['rewrite']): string {
  if (rewrite === undefined) return path;
  const from = rewrite.from === '/' ? '' : rewrite.from;
  if (path !== from && !path.startsWith(`${from}/`)) return path;
  const to = rewrite.to === '/' ? '' : rewrite.to;
  return to + path.slice(from.length) || '/';
}

export type RouteTable = ReturnType<typeof createRouteTable>;

type CompiledRoute = Readonly<{
  route: Route;
  policy: Policy;
  params: readonly (readonly [index: number, name: string])[];
}>;

/** The routes with one path, by method. A path that the gateway reserves has no routes. */
type RoutePlace = {
  readonly routes: Map<string, CompiledRoute>;
  /** Sorted. Contains HEAD if it contains GET. */
  allow: readonly string[];
};

type RouteNode = {
  /** Undefined if no literal follows, which is usual because most nodes are leaves. */
  literals: Map<string, RouteNode> | undefined;
  param: RouteNode | undefined;
  /** The routes whose path ends at this node. */
  end: RoutePlace | undefined;
  /** The routes with `**` at this node. */
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
 * @param routes Their order does not matter. To add very many routes, add them one by one later.
 */
export function createRouteTable(listener: ListenerName, routes: readonly Route[] = []) {
  const root = newNode();
  for (const pattern of ownPatterns[listener]) placeFor(root, parsePattern(pattern) as readonly Segment[]);
  const placeOf = (path: string, segments = path.slice(1).split('/')): RoutePlace | undefined => {
    const place = find(root, segments, 0);
    return place?.routes.size === 0 ? undefined : place;
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
    /**
     * @throws Error for a malformed path, or for two routes with the same shape and method. The configuration check
     *   refuses
     *   both, so this would be our bug.
     */
    add(route: Route): void {
      const segments = parsePattern(route.path);
      if (typeof segments === 'string') throw new Error(`route ${route.name}: path ${segments}`);
      const params = segments.flatMap((segment, index) =>
        segment.kind === 'param' ? [[index, segment.name] as const] : [],
      );
      insert(placeFor(root, segments), { route, policy: policyOf(route), params });
    },
    /**
     * Finds the route, with its parameters' values. Visits each node in the tree at most once, so the number of routes
     * and the length of the path limit the cost.
     *
     * @param path From {@link parseRequestTarget}.
     * @throws AppError `no_route`, and `method_not_allowed` with `Allow`.
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
      return { route, policy, params: params.length === 0 ? noParams : readParams(params, segments) };
    },
    /** Returns the methods of this path, sorted. Undefined if no route has this path. */
    methodsAt: (path: string) => placeOf(path)?.allow,
    /** Returns the routes with this path, one for each method. */
    routesAt(path: string): readonly Route[] {
      return [...(placeOf(path)?.routes.values() ?? [])].map(({ route }) => route);
    },
  };
  for (const route of routes) table.add(route);
  return table;
}

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

  // An empty segment stands for a trailing slash, so it is not a value.
  const byParam = segment === '' ? undefined : node.param && find(node.param, segments, depth + 1);
  return byParam ?? node.rest;
}

const newNode = (): RouteNode => ({ literals: undefined, param: undefined, end: undefined, rest: undefined });
const newPlace = (): RoutePlace => ({ routes: new Map(), allow: [] });
