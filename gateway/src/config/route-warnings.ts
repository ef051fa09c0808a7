import { type Path, unknown } from '@countersign/strict-yaml';
import type { Warning } from './checks/problems.ts';
import { type Names, rolesOf } from './checks/tenant-checks.ts';
import { parsePattern, type Segment, servedMethods, shapeOf } from './path-pattern.ts';
import type { Issuer } from './schema/issuers/issuers.ts';
import type { AllowedParty } from './schema/routes.ts';
import type { Document } from './schema/schema.ts';

type Route = Document['routes'][number];

/** Whether two issuers differ at most by a slash at the end. */
export const isAlike = (one: string, other: string): boolean => one.replace(/\/$/, '') === other.replace(/\/$/, '');

/** Finds rules that no token can pass, because no issuer gives the role, the OAuth client or the actor. */
export function ruleWarnings(routes: readonly Route[], issuers: readonly Issuer[]): readonly Warning[] {
  const rolesFor = (allowed: readonly Issuer[]) => ({
    users: together(allowed.map((issuer) => rolesOf(issuer, [issuer.claims.role]))),
    machines: together(allowed.map((issuer) => rolesOf(issuer, [issuer.machines.role]))),
  });
  const ofAll = rolesFor(issuers);
  return routes.flatMap((route, index) => {
    const path = ['routes', index, 'allow'];
    const { clients = 'any', actors = [] } = route.allow ?? {};
    const allowed = issuers.filter(
      (issuer) => clients === 'any' || clients.some((client) => isClientOf(client, issuer)),
    );
    // If no issuer has such a client, the warning about the clients says enough.
    const known = clients === 'any' || allowed.length === 0 ? ofAll : rolesFor(allowed);
    return [
      ...ofRoles(route, known, [...path, 'roles']),
      ...(clients === 'any' ? [] : ofClients(clients, issuers, [...path, 'clients'])),
      ...ofActors(actors, issuers, [...path, 'actors']),
    ];
  });
}

/** Undefined means any name. */
function together(all: readonly Names[]): ReadonlySet<string> | undefined {
  const lists = all.map((names) => (names !== undefined && 'list' in names ? names.list : undefined));
  return lists.includes(undefined) ? undefined : new Set(lists.flatMap((list) => [...(list ?? [])]));
}

type KnownRoles = Readonly<Record<'users' | 'machines', ReadonlySet<string> | undefined>>;

function ofRoles({ allow = {} }: Route, { users, machines }: KnownRoles, path: Path): readonly Warning[] {
  const { roles = [], clients } = allow;
  if (users === undefined || (clients !== undefined && machines === undefined)) return [];
  const known = new Set([...users, ...((clients && machines) ?? [])]);
  return roles.flatMap((role, index) => {
    if (known.has(role)) return [];
    const isOfMachines = clients === undefined && (machines?.has(role) ?? true);
    const kind = isOfMachines
      ? 'a role that users can have, and machines need allow.clients'
      : `a role that ${Array.isArray(clients) ? 'an issuer of these clients' : 'an issuer'} can give`;
    return [{ path: [...path, index], message: unknown(kind, role, [...known]) }];
  });
}

const isClientOf = ({ issuer: iss, name }: AllowedParty, issuer: Issuer): boolean =>
  (iss === undefined || isFrom(issuer, iss)) && (issuer.clients?.includes(name) ?? true);

function ofClients(clients: readonly AllowedParty[], issuers: readonly Issuer[], path: Path): readonly Warning[] {
  return clients.flatMap(({ issuer: iss, name }, index) => {
    const trusted = issuers.filter((issuer) => iss === undefined || isFrom(issuer, iss));
    if (trusted.length === 0 && iss !== undefined) {
      const known = issuers.map(({ issuer }) => issuer);
      return [{ path: [...path, index, 'iss'], message: unknown('an issuer in this file', iss, known) }];
    }
    if (trusted.some(({ clients }) => clients?.includes(name) ?? true)) return [];
    const known = trusted.flatMap(({ clients }) => clients ?? []);
    return [{ path: [...path, index], message: unknown("in an issuer's list of clients", name, [...new Set(known)]) }];
  });
}

/** An actor may belong to an issuer outside the file, so only a spelling of one inside it is certainly wrong. */
const ofActors = (actors: readonly AllowedParty[], issuers: readonly Issuer[], path: Path): readonly Warning[] =>
  actors.flatMap(({ issuer: iss }, index) => {
    if (iss === undefined || issuers.some((issuer) => isFrom(issuer, iss))) return [];
    const isOneOfOurs = issuers.some(({ issuer }) => isAlike(issuer, iss));
    const message = 'differs from an issuer in this file only by a slash at the end';
    return isOneOfOurs ? [{ path: [...path, index, 'iss'], message }] : [];
  });

/** Whether an issuer has this `iss`, or a template that allows it. */
const isFrom = ({ issuer, template }: Issuer, iss: string): boolean =>
  issuer === iss ||
  (template !== undefined && template.value === undefined && iss.startsWith(issuer.split('{')[0] ?? ''));

type Place = { readonly segments: readonly Segment[]; readonly routes: { route: Route; index: number }[] };

/**
 * Finds routes that take methods from a broader one: with POST at `/orders`, a GET there is 405, although `/orders/**`
 * serves GET. Below the broader route's own path, only a lost GET at the same upstream counts, because a path with
 * fewer methods is usual there.
 */
export function takenMethods(routes: readonly Route[]): readonly Warning[] {
  const places = new Map<string, Place>();
  // The starts of the shapes that end with `**`.
  const starts = new Set<string>();
  for (const [index, route] of routes.entries()) {
    const segments = parsePattern(route.path) as readonly Segment[];
    const key = `${listenerOf(route)}/${shapeOf(segments)}`;
    const place = places.get(key) ?? { segments, routes: [] };
    places.set(key, place);
    place.routes.push({ route, index });
    if (!key.endsWith('**')) continue;
    for (let at = key.indexOf('/'); at !== -1; at = key.indexOf('/', at + 1)) starts.add(key.slice(0, at + 1));
  }
  return [...places.values()].flatMap((place) => {
    const [first] = place.routes;
    const broader = broaderThan(place, places, starts);
    if (first === undefined || broader === undefined) return [];
    const isItsPath = shapeOf(broader.segments.slice(0, -1)) === shapeOf(place.segments);
    const served = new Set(place.routes.flatMap(({ route }) => servedMethods(route.methods)));
    const upstreams = place.routes.map(({ route }) => route.upstream);
    return broader.routes.flatMap(({ route: { name, path, methods, upstream } }) => {
      const taken = methods.filter(
        (method) => !served.has(method) && (isItsPath || (method === 'GET' && upstreams.includes(upstream))),
      );
      const message = `${taken.join(', ')} ${first.route.path} is 405, although the route "${name}" (${path}) serves it: a path has only its own methods`;
      return taken.length === 0 ? [] : [{ path: ['routes', first.index, 'methods'], message }];
    });
  });
}

const listenerOf = ({ auth }: Route): string => (auth === 'service' ? 'internal' : 'public');

/** Returns the longest other place with `**` that would serve the paths of this one. */
function broaderThan(
  { segments, routes: [first] }: Place,
  places: ReadonlyMap<string, Place>,
  starts: ReadonlySet<string>,
) {
  let found: Place | undefined;
  let reached = first === undefined ? [] : [`${listenerOf(first.route)}/`];
  for (const segment of [...segments, undefined]) {
    for (const start of reached) {
      const place = places.get(`${start}**`);
      if (place !== undefined && place.segments !== segments) found = place;
    }
    if (segment === undefined || segment.kind === 'rest') break;
    const next = segment.kind === 'literal' ? [':', segment.text] : [':'];
    reached = reached.flatMap((start) => next.map((text) => `${start}${text}/`)).filter((start) => starts.has(start));
  }
  return found;
}
