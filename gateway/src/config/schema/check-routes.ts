import { parsePattern, type Segment, servedMethods, shapeOf } from '../path-pattern.ts';
import { closest } from './closest.ts';
import type { PartialRoute, Parts } from './parts.ts';
import type { Finding } from './problems.ts';

/** What holds between a route, its neighbours and what it names; also of one that has other problems, as far as its keys are good. */
export function checkRoutes(parts: Parts): readonly Finding[] {
  const findings: Finding[] = [];
  const names = new Map<string, number>();
  const served: Served = new Map();
  for (const [index, route] of parts.routes.entries()) {
    const at = (...path: readonly (string | number)[]) => ['routes', index, ...path];
    const { name } = route;
    const other = name === undefined ? undefined : names.get(name);
    if (other !== undefined) {
      findings.push({
        path: at('name'),
        message: `routes[${other}] is called "${name}" too: names are unique`,
        other: ['routes', other, 'name'],
      });
    }
    if (name !== undefined) names.set(name, index);
    findings.push(...references(route, parts, at), ...consistency(route, at), ...overlaps(route, served, at));
  }
  return findings;
}

type At = (...path: readonly (string | number)[]) => readonly (string | number)[];

function references(
  route: PartialRoute,
  { services, hasIssuers, upstreams, hasUpstreams }: Parts,
  at: At,
): readonly Finding[] {
  const findings: Finding[] = [];
  const { upstream } = route;
  if (upstream !== undefined && hasUpstreams && !upstreams.has(upstream)) {
    findings.push({ path: at('upstream'), message: unknown('an upstream', upstream, [...upstreams.keys()]) });
  }
  for (const [index, caller] of (route.callers ?? []).entries()) {
    if (services.has(caller)) continue;
    findings.push({ path: at('callers', index), message: unknown('a service', caller, [...services]) });
  }
  if ((route.auth === 'required' || route.auth === 'optional') && !hasIssuers) {
    findings.push({ path: at('auth'), message: 'there are no issuers, so no token could be good' });
  }
  return findings;
}

function unknown(kind: string, name: string, known: readonly string[]): string {
  const close = closest(name, known);
  const hint = close === undefined ? '' : `; did you mean "${close}"?`;
  return `"${name}" is not ${kind} of this file${hint} (there are: ${known.join(', ') || 'none'})`;
}

function consistency(route: PartialRoute, at: At): readonly Finding[] {
  const findings: Finding[] = [];
  const segments = segmentsOf(route);
  const isService = route.auth === 'service';
  const refuse = (path: readonly (string | number)[], message: string) => findings.push({ path: at(...path), message });

  if (route.allow !== undefined && (route.auth === 'public' || route.auth === 'optional')) {
    refuse(['allow'], `needs auth: required; with auth: ${route.auth} nobody needs a role or a tenant`);
  }
  const tenant = route.allow?.tenant;
  if (
    tenant !== undefined &&
    segments !== undefined &&
    !segments.some((segment) => segment.kind === 'param' && `:${segment.name}` === tenant)
  ) {
    refuse(['allow', 'tenant'], `the path has no "${tenant}"`);
  }
  if (route.allow !== undefined && route.allow.roles === undefined && tenant === undefined) {
    refuse(['allow'], 'names neither roles nor tenant');
  }
  if (isService && !route.written.has('callers')) {
    refuse(['auth'], '"callers" is required with auth: service: who may call');
  }
  if (route.auth !== undefined && !isService && route.callers !== undefined) refuse(['callers'], 'needs auth: service');
  if (isService && route.websocket) refuse(['websocket'], 'is for clients: services make plain calls');
  if (isService && route.body?.mode === 'stream') {
    refuse(['body', 'mode'], "must be digest or none with auth: service: the caller's signature covers the whole body");
  }
  for (const [index, limit] of (route.limits ?? []).entries()) {
    if (route.auth === 'public' && (limit.by === 'user' || limit.by === 'tenant')) {
      refuse(['limits', index, 'by'], `nobody has a ${limit.by} on a public route: count by address or route`);
    }
  }
  if (route.websocket && route.methods?.includes('GET') === false) refuse(['websocket'], 'needs GET among the methods');
  if (route.body?.mode === 'digest' && route.body.maxBytes > 64 * 1024 ** 2) {
    refuse(['body', 'maxBytes'], 'must be at most 64MiB in mode digest, which holds the body in memory');
  }
  const from = route.rewrite?.prefix.from;
  if (from !== undefined && segments !== undefined && !isFrontOf(from, segments)) {
    refuse(['rewrite', 'prefix', 'from'], 'must be literal segments at the front of the path');
  }
  return findings;
}

/** Who serves a method at a place, and where its path is written. */
type Served = Map<string, Readonly<{ name: string; path: Finding['path'] }>>;

/** Two routes at one place must differ by method; each listener has places of its own. */
function overlaps(route: PartialRoute, served: Served, at: At): readonly Finding[] {
  const { auth, methods, name = `routes[${at().at(-1)}]` } = route;
  const segments = segmentsOf(route);
  if (segments === undefined || methods === undefined || auth === undefined) return [];
  const place = `${auth === 'service' ? 'internal' : 'public'} ${shapeOf(segments)}`;
  const findings: Finding[] = [];
  for (const method of servedMethods(methods)) {
    const other = served.get(`${method} ${place}`);
    if (other === undefined) served.set(`${method} ${place}`, { name, path: at('path') });
    else if (findings.length === 0) {
      findings.push({
        path: at('path'),
        message: `route "${other.name}" serves ${method} at the same place`,
        other: other.path,
      });
    }
  }
  return findings;
}

function segmentsOf({ path }: PartialRoute): readonly Segment[] | undefined {
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
