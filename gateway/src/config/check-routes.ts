import { parsePattern, type Segment, servedMethods, shapeOf } from '../routing/pattern.ts';
import { closest } from './closest.ts';
import type { Parts } from './parts.ts';
import type { Finding } from './problems.ts';
import type { RoutePart } from './route-schema.ts';

/** What holds between a route, its neighbours and what it names. */
export function checkRoutes(parts: Parts): readonly Finding[] {
  const findings = [...unknownUpstreams(parts)];
  const names = new Map<string, number>();
  const served = new Map<string, string>();
  for (const [index, route] of parts.routes.entries()) {
    if (route === undefined) continue;
    const at = (...path: readonly (string | number)[]) => ['routes', index, ...path];
    const other = names.get(route.name);
    if (other !== undefined) {
      findings.push({ path: at('name'), message: `routes[${other}] is called "${route.name}" too: names are unique` });
    }
    names.set(route.name, index);
    findings.push(...references(route, parts, at), ...consistency(route, at), ...overlaps(route, served, at));
  }
  return findings;
}

type At = (...path: readonly (string | number)[]) => readonly (string | number)[];

function unknownUpstreams({ routeUpstreams, upstreams }: Parts): readonly Finding[] {
  const known = [...upstreams.keys()];
  return routeUpstreams.flatMap((name, index) =>
    name === undefined || upstreams.has(name)
      ? []
      : [{ path: ['routes', index, 'upstream'], message: unknown('an upstream', name, known) }],
  );
}

function references(route: RoutePart, { services, issuers }: Parts, at: At): readonly Finding[] {
  const findings: Finding[] = [];
  for (const [index, caller] of (route.callers ?? []).entries()) {
    if (services.has(caller)) continue;
    findings.push({ path: at('callers', index), message: unknown('a service', caller, [...services]) });
  }
  if ((route.auth === 'required' || route.auth === 'optional') && issuers.length === 0) {
    findings.push({ path: at('auth'), message: 'there are no issuers, so no token could be good' });
  }
  return findings;
}

function unknown(kind: string, name: string, known: readonly string[]): string {
  const close = closest(name, known);
  const hint = close === undefined ? '' : `; did you mean "${close}"?`;
  return `"${name}" is not ${kind} of this file${hint} (there are: ${known.join(', ') || 'none'})`;
}

function consistency(route: RoutePart, at: At): readonly Finding[] {
  const findings: Finding[] = [];
  const segments = segmentsOf(route);
  const refuse = (path: readonly (string | number)[], message: string) => findings.push({ path: at(...path), message });

  if (route.allow !== undefined && (route.auth === 'public' || route.auth === 'optional')) {
    refuse(['allow'], `needs auth: required; with auth: ${route.auth} nobody needs a role or a tenant`);
  }
  const tenant = route.allow?.tenant;
  if (tenant !== undefined && !segments.some((segment) => segment.kind === 'param' && `:${segment.name}` === tenant)) {
    refuse(['allow', 'tenant'], `the path has no "${tenant}"`);
  }
  if (route.allow !== undefined && route.allow.roles === undefined && tenant === undefined) {
    refuse(['allow'], 'names neither roles nor tenant');
  }
  if (route.auth === 'service' && route.callers === undefined) {
    refuse(['auth'], '"callers" is required with auth: service: who may call');
  }
  if (route.auth !== 'service' && route.callers !== undefined) refuse(['callers'], 'needs auth: service');
  if (route.auth === 'service' && route.websocket) refuse(['websocket'], 'is for clients: services make plain calls');
  if (route.auth === 'service' && route.body.mode === 'stream') {
    refuse(['body', 'mode'], "must be digest or none with auth: service: the caller's signature covers the whole body");
  }
  for (const [index, limit] of route.limits.entries()) {
    if (route.auth === 'public' && (limit.by === 'user' || limit.by === 'tenant')) {
      refuse(['limits', index, 'by'], `nobody has a ${limit.by} on a public route: count by address or route`);
    }
  }
  if (route.websocket && !route.methods.includes('GET')) refuse(['websocket'], 'needs GET among the methods');
  if (route.body.mode === 'digest' && route.body.maxBytes > 64 * 1024 ** 2) {
    refuse(['body', 'maxBytes'], 'must be at most 64MiB in mode digest, which holds the body in memory');
  }
  const from = route.rewrite?.prefix.from;
  if (from !== undefined && !isFrontOf(from, segments)) {
    refuse(['rewrite', 'prefix', 'from'], 'must be literal segments at the front of the path');
  }
  return findings;
}

/** Two routes at one place must differ by method; each listener has places of its own. */
function overlaps(route: RoutePart, served: Map<string, string>, at: At): readonly Finding[] {
  const place = `${route.auth === 'service' ? 'internal' : 'public'} ${shapeOf(segmentsOf(route))}`;
  const findings: Finding[] = [];
  for (const method of servedMethods(route.methods)) {
    const other = served.get(`${method} ${place}`);
    if (other === undefined) served.set(`${method} ${place}`, route.name);
    else if (findings.length === 0) {
      findings.push({ path: at('path'), message: `route "${other}" serves ${method} at the same place` });
    }
  }
  return findings;
}

function segmentsOf(route: RoutePart): readonly Segment[] {
  const segments = parsePattern(route.path);
  return typeof segments === 'string' ? [] : segments;
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
