import { unknown } from '@countersign/strict-yaml';
import { isOwnPath } from '../own-paths.ts';
import { parsePattern, type Segment, servedMethods, shapeOf } from '../path-pattern.ts';
import { checkAllow, checkSeveralIssuers } from './allow.ts';
import type { IsMalformed, Refuse, WellFormed } from './cross-checks.ts';
import { checkLimits } from './limits.ts';
import type { RoutePieces } from './routes.ts';
import type { Document } from './schema.ts';

type RoutesFile = Pick<WellFormed<Document>, 'routes' | 'upstreams' | 'services' | 'issuers'>;

export function checkRoutes(file: RoutesFile, isMalformed: IsMalformed, refuse: Refuse): void {
  const names = new Map<string, number>();
  const served: Served = new Map();
  const usesScopes = file.routes.some(({ allow }) => Array.isArray(allow?.scopes));
  for (const [index, route] of file.routes.entries()) {
    const path = ['routes', index];
    const refuseHere: Refuse = (at, ...problem) => refuse([...path, ...at], ...problem);
    checkName(route, index, names, refuseHere);
    checkReferences(route, file, isMalformed, refuseHere);
    const segments = segmentsOf(route);
    const params = segments?.flatMap((segment) => (segment.kind === 'param' ? segment.name : []));
    checkAllow(route, params, refuseHere);
    checkLimits(route.auth, route.limits ?? [], refuseHere);
    checkService(route, isMalformed('routes', index, 'callers'), refuseHere);
    if (file.issuers.length > 1)
      checkSeveralIssuers(route, usesScopes && !isMalformed('routes', index, 'allow'), refuseHere);
    checkShape(route, segments, refuseHere);
    if (segments !== undefined) checkOverlap(route, segments, index, served, refuseHere);
  }
}

function checkName({ name }: RoutePieces, index: number, names: Map<string, number>, refuse: Refuse): void {
  if (name === undefined) return;
  const other = names.get(name);
  if (other !== undefined) {
    refuse(['name'], `another route is also called "${name}": names must be unique`, {
      other: ['routes', other, 'name'],
    });
  }
  names.set(name, index);
}

function checkReferences(
  { upstream, callers = [], auth }: RoutePieces,
  { services, issuers, upstreams }: RoutesFile,
  isMalformed: IsMalformed,
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

/** Checks the keys of a route on the internal listener. */
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

function checkShape(route: RoutePieces, segments: readonly Segment[] | undefined, refuse: Refuse): void {
  if (route.websocket && route.methods?.includes('GET') === false) refuse(['websocket'], 'needs GET among the methods');
  if (route.body?.mode === 'digest' && route.body.maxBytes > 64 * 1024 ** 2) {
    refuse(['body', 'maxBytes'], 'must be at most 64MiB in mode digest, because the gateway holds the body in memory');
  }
  if (route.path !== undefined && isOwnPath(route.auth === 'service' ? 'internal' : 'public', route.path)) {
    refuse(['path'], 'is a path that the gateway answers itself');
  }
  const from = route.rewrite?.from;
  if (from !== undefined && segments !== undefined && !isFrontOf(from, segments)) {
    refuse(['rewrite', 'prefix', 'from'], 'must be literal segments at the start of the path');
  }
}

/** The route that serves each method and shape. */
type Served = Map<string, Readonly<{ name: string; index: number }>>;

/**
 * Refuses two routes with one shape and a method in common. Service routes have their own listener, so they are
 * separate.
 */
function checkOverlap(
  { auth, methods, name }: RoutePieces,
  segments: readonly Segment[],
  index: number,
  served: Served,
  refuse: Refuse,
): void {
  if (methods === undefined || auth === undefined) return;
  const place = `${auth === 'service' ? 'internal' : 'public'} ${shapeOf(segments)}`;
  let isReported = false;
  for (const method of servedMethods(methods)) {
    const other = served.get(`${method} ${place}`);
    if (other === undefined) served.set(`${method} ${place}`, { name: name ?? `routes[${index}]`, index });
    else if (!isReported) {
      const message = `route "${other.name}" serves ${method} at the same place`;
      refuse(['path'], message, { other: ['routes', other.index, 'path'] });
      isReported = true;
    }
  }
}

function segmentsOf({ path }: RoutePieces): readonly Segment[] | undefined {
  const segments = path === undefined ? undefined : parsePattern(path);
  return typeof segments === 'string' ? undefined : segments;
}

function isFrontOf(prefix: string, segments: readonly Segment[]): boolean {
  if (prefix === '/') return true;
  return prefix
    .slice(1)
    .split('/')
    .every((part, index) => {
      const segment = segments[index];
      return segment?.kind === 'literal' && segment.text === part;
    });
}
