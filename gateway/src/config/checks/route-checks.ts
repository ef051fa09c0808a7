import { unknown } from '@countersign/strict-yaml';
import { isOtherSpelling, isOwnPath } from '../own-paths.ts';
import {
  foldPattern,
  intersectionOf,
  parsePattern,
  prefixParts,
  rewritePattern,
  type Segment,
  servedMethods,
  shapeOf,
} from '../path-pattern.ts';
import { PatternIndex } from '../pattern-index.ts';
import { below, type CheckedFile, type Refuse, type RoutePieces, type UpstreamPieces } from './cross-checks.ts';

export function checkRoutes(file: CheckedFile, refuse: Refuse): void {
  const { routes, upstreams, issuers, isMalformed, publicOrigins, dpop } = file;
  const names = new Map<string, number>();
  const served = new Map<string, Placed>();
  const usesScopes = routes.some(({ allow }) => Array.isArray(allow?.scopes));
  // If they are malformed, there may be some.
  const hasOrigins = publicOrigins?.length !== 0;
  if (dpop?.nonces !== undefined && !hasOrigins) refuse(['dpop', 'nonces'], noOrigins);
  const placed = routes.flatMap((route, index) => {
    const refuseHere = below(refuse, 'routes', index);
    const parsed = parsePattern(route.path ?? '');
    const segments = typeof parsed === 'string' ? undefined : parsed;
    checkName(route, index, names, refuseHere);
    checkReferences(route, file, refuseHere);
    checkAllow(route, segments, refuseHere);
    checkLimits(route, refuseHere);
    checkService(route, isMalformed('routes', index, 'callers'), refuseHere);
    checkProofs(route, hasOrigins, refuseHere);
    if (issuers.length > 1)
      checkSeveralIssuers(route, usesScopes && !isMalformed('routes', index, 'allow'), refuseHere);
    checkShape(route, segments, refuseHere);
    if (segments === undefined || route.auth === undefined) return [];
    const one = { route, index, segments };
    checkOverlap(one, served, refuseHere);
    return [one];
  });
  const ofServices = (isService: boolean) => placed.filter(({ route: { auth } }) => (auth === 'service') === isService);
  checkPaths('public', ofServices(false), upstreams, refuse);
  checkPaths('internal', ofServices(true), upstreams, refuse);
}

function checkName({ name }: RoutePieces, index: number, names: Map<string, number>, refuse: Refuse): void {
  if (name === undefined) return;
  const other = names.get(name);
  names.set(name, index);
  if (other === undefined) return;
  const message = `another route is also called "${name}": names must be unique`;
  refuse(['name'], message, { other: ['routes', other, 'name'] });
}

function checkReferences(
  { upstream, callers = [], auth }: RoutePieces,
  { services, issuers, upstreams, isMalformed }: CheckedFile,
  refuse: Refuse,
): void {
  if (upstream !== undefined && !isMalformed('upstreams') && !Object.hasOwn(upstreams, upstream)) {
    refuse(['upstream'], unknown('an upstream in this file', upstream, Object.keys(upstreams)));
  }
  for (const [index, caller] of callers.entries()) {
    if (isMalformed('services') || Object.hasOwn(services, caller)) continue;
    refuse(['callers', index], unknown('a service in this file', caller, Object.keys(services)));
  }
  if ((auth === 'required' || auth === 'optional') && issuers.length === 0 && !isMalformed('issuers')) {
    refuse(['auth'], 'there are no issuers, so no token can be valid');
  }
}

function checkAllow({ auth, allow }: RoutePieces, segments: readonly Segment[] | undefined, refuse: Refuse): void {
  if (allow === undefined) return;
  if (auth === 'public' || auth === 'optional') {
    refuse(['allow'], `needs auth: required; auth: ${auth} checks no role, tenant, scope, OAuth client or actor`);
  }
  const { tenant } = allow;
  const isTenant = (segment: Segment) => segment.kind === 'param' && `:${segment.name}` === tenant;
  if (tenant !== undefined && segments?.some(isTenant) === false) {
    refuse(['allow', 'tenant'], `the path has no "${tenant}"`);
  }
  if (Object.values(allow).every((condition) => condition === undefined)) {
    refuse(['allow'], 'has no condition: set roles, tenant, scopes, clients, actors or claims');
  }
  if (allow.claims !== undefined && auth === 'service') {
    refuse(['allow', 'claims'], 'needs auth: required; a txn-token has no additional claims');
  }
}

/**
 * Checks what is ambiguous with two or more issuers. An OAuth client or actor of one issuer must not pass for one of
 * another issuer, and a token with few scopes must not pass a route that does not check scopes.
 */
function checkSeveralIssuers({ auth, allow }: RoutePieces, needsScopes: boolean, refuse: Refuse): void {
  for (const [key, name] of [
    ['clients', 'id'],
    ['actors', 'sub'],
  ] as const) {
    const parties = allow?.[key] ?? [];
    if (parties === 'any') continue;
    for (const [index, { issuer }] of parties.entries()) {
      if (issuer !== undefined) continue;
      const message = `must be { iss, ${name} } with two or more issuers, because each issuer could use this name`;
      refuse(['allow', key, index], message);
    }
  }
  if (auth !== 'required' || !needsScopes || allow?.scopes !== undefined) return;
  const message =
    '"allow.scopes" is required, because there are two or more issuers and another route checks scopes: list them, or write any';
  refuse([], message, { absent: 'allow' });
}

function checkLimits({ auth, limits = [] }: RoutePieces, refuse: Refuse): void {
  for (const [index, { by }] of limits.entries()) {
    if (auth !== 'public' || by === 'address' || by === 'route') continue;
    const what = by === 'client' ? 'OAuth client' : by;
    refuse(['limits', index, 'by'], `a public route has no ${what}: count by address or route`);
  }
}

function checkService(route: RoutePieces, hasMalformedCallers: boolean, refuse: Refuse): void {
  const { auth, callers } = route;
  if (auth !== 'service') {
    if (auth !== undefined && callers !== undefined) refuse(['callers'], 'needs auth: service');
    return;
  }
  if (callers === undefined && !hasMalformedCallers) {
    refuse(['auth'], '"callers" is required with auth: service: list the services that may call');
  }
  if (route.websocket) refuse(['websocket'], 'works only on routes for clients: services make plain HTTP calls');
  if (route.body?.mode === 'stream') {
    refuse(['body', 'mode'], "must be digest or none with auth: service: the caller's signature covers the whole body");
  }
}

const noOrigins = 'needs publicOrigins: a proof names its URL, and the client controls the Host header';

function checkProofs({ auth, senderConstrained, forward }: RoutePieces, hasOrigins: boolean, refuse: Refuse): void {
  if (senderConstrained !== undefined && auth !== undefined) {
    const takesToken = auth === 'required' || auth === 'optional';
    if (!takesToken) refuse(['senderConstrained'], 'needs auth: required or optional: this route takes no token');
    else if (!hasOrigins) refuse(['senderConstrained'], noOrigins);
  }
  if (!forward?.dpop) return;
  const onlyClients = 'works only on routes for clients: services sign their calls instead';
  if (auth === 'service') refuse(['forward', 'dpop'], onlyClients);
  else if (!hasOrigins) refuse(['forward', 'dpop'], noOrigins);
}

function checkShape(route: RoutePieces, segments: readonly Segment[] | undefined, refuse: Refuse): void {
  if (route.websocket && route.methods?.includes('GET') === false) refuse(['websocket'], 'needs GET among the methods');
  if (route.body?.mode === 'digest' && route.body.maxBytes > 64 * 1024 ** 2) {
    refuse(['body', 'maxBytes'], 'must be at most 64MiB in mode digest, because the gateway holds the body in memory');
  }
  if (route.path !== undefined && isOwnPath(route.auth === 'service' ? 'internal' : 'public', route.path)) {
    refuse(['path'], 'is a path that the gateway answers itself');
  }
  if (route.rewrite === undefined || segments === undefined) return;
  const replaced = prefixParts(route.rewrite.from);
  if (shapeOf(segments.slice(0, replaced.length)) !== replaced.join('/')) {
    refuse(['rewrite', 'prefix', 'from'], 'must be literal segments at the start of the path');
  }
}

/** Refuses two routes with one shape and a method in common on one listener. */
function checkOverlap(placed: Placed, served: Map<string, Placed>, refuse: Refuse): void {
  const { auth, methods = [] } = placed.route;
  const place = `${auth === 'service' ? 'internal' : 'public'} ${shapeOf(placed.segments)}`;
  const overlapping = servedMethods(methods).find((method) => served.has(`${method} ${place}`));
  const other = served.get(`${overlapping} ${place}`);
  for (const method of servedMethods(methods)) {
    if (!served.has(`${method} ${place}`)) served.set(`${method} ${place}`, placed);
  }
  if (other === undefined) return;
  const message = `route "${other.route.name ?? `routes[${other.index}]`}" serves ${overlapping} at the same place`;
  refuse(['path'], message, { other: ['routes', other.index, 'path'] });
}

/** A route with a well-formed path. */
type Placed = Readonly<{ route: RoutePieces; index: number; segments: readonly Segment[] }>;

/** Refuses routes of a listener that only some routers can tell apart: one of them would never get a request. */
function checkPaths(
  listener: 'public' | 'internal',
  routes: readonly Placed[],
  upstreams: UpstreamPieces,
  refuse: Refuse,
): void {
  const isExact = ({ route: { upstream } }: Placed) => upstreams[upstream ?? '']?.paths === 'exact';
  const spellings = new Map<string, Placed & { spelling: string }>();
  for (const placed of routes) {
    const { segments, index, route } = placed;
    const folded = foldPattern(segments);
    if (isOtherSpelling(listener, route.path ?? '', folded.map(textOf))) {
      const message = 'is another spelling of a path that the gateway or every service answers itself';
      refuse(['routes', index, 'path'], message);
    }
    const starts = segments.map((_, at) => segments.slice(0, at + 1)).filter((start) => foldPattern(start).length > 0);
    // A trailing slash is a spelling of the whole path only: `/a` and `/a/b` differ for every router.
    const keys = [...starts.map((start) => [shapeOf(foldPattern(start)), shapeOf(start).replace(/\/$/, '')] as const)];
    keys.push([`${shapeOf(folded)} `, shapeOf(segments)]);
    for (const [key, spelling] of keys) {
      const other = spellings.get(key);
      if (other === undefined) spellings.set(key, { ...placed, spelling });
      else if (other.spelling !== spelling && !(isExact(placed) && isExact(other))) {
        const message = `differs from "/${other.spelling}" only in case, dots or a trailing slash, which many routers ignore`;
        refuse(['routes', index, 'path'], message, { other: ['routes', other.index, 'path'] });
        break;
      }
    }
  }
  checkRewrites(routes, refuse);
}

const textOf = (segment: Segment): string => shapeOf([segment]);

type Received = Placed & Readonly<{ sent: readonly Segment[]; served: readonly string[]; rules: string }>;

/** Refuses two routes that reach one path of an upstream by different rewrites and with different rules. */
function checkRewrites(routes: readonly Placed[], refuse: Refuse): void {
  const shapes = new Set(routes.map(({ segments }) => shapeOf(foldPattern(segments))));
  const received = routes.map((placed): Received => {
    const { rewrite, auth, allow, callers, senderConstrained, methods = [] } = placed.route;
    const sent = foldPattern(rewritePattern(placed.segments, rewrite));
    const rules = JSON.stringify([auth, allow, callers, senderConstrained]);
    return { ...placed, sent, served: servedMethods(methods), rules };
  });

  /** Whether another route serves these paths of the upstream in this one's place. */
  const isReplaced = ({ route: { rewrite }, segments }: Received, sent: readonly Segment[]): boolean => {
    const asked = rewrite === undefined ? sent : rewritePattern(sent, { from: rewrite.to, to: rewrite.from });
    const shape = shapeOf(foldPattern(asked));
    return shape !== shapeOf(foldPattern(segments)) && shapes.has(shape);
  };
  const conflictOf = (one: Received, other: Received): readonly Segment[] | undefined => {
    if (one.rules === other.rules || !one.served.some((method) => other.served.includes(method))) return undefined;
    const both = intersectionOf(one.sent, other.sent);
    if (both === undefined || isReplaced(one, both) || isReplaced(other, both)) return undefined;
    return isOpenPart(one, other, both) || isOpenPart(other, one, both) ? undefined : both;
  };

  for (const ofUpstream of Map.groupBy(received, ({ route }) => route.upstream).values()) {
    const earlier = new PatternIndex<Received>();
    for (const group of Map.groupBy(ofUpstream, ({ route }) => JSON.stringify(route.rewrite)).values()) {
      for (const one of group) {
        for (const other of earlier.intersecting(one.sent)) {
          const both = conflictOf(one, other);
          if (both === undefined) continue;
          const message = `reaches "/${shapeOf(both)}" of the upstream, as route "${other.route.name}" does with other rules`;
          refuse(['routes', one.index, 'path'], message, { other: ['routes', other.index, 'path'] });
          break;
        }
      }
      for (const one of group) earlier.add(one.sent, one);
    }
  }
}

/** Whether a public route serves only a part of the other route's paths. Then the other route opens nothing. */
const isOpenPart = (part: Received, whole: Received, both: readonly Segment[]): boolean =>
  part.route.auth === 'public' && shapeOf(part.sent) === shapeOf(both) && shapeOf(whole.sent) !== shapeOf(both);
