import { type Path, unknown } from '@countersign/strict-yaml';
import { unresolved } from './checks/issuer-checks.ts';
import { openAdminProblem } from './checks/listen-checks.ts';
import type { Warning } from './checks/problems.ts';
import { type Names, rolesOf, valuesOf, whyImpossible } from './checks/tenant-checks.ts';
import { endsWithSlash } from './presets.ts';
import { valueAt } from './route-groups.ts';
import { type Issuer, resolveIssuers } from './schema/issuers/issuers.ts';
import type { AllowedParty } from './schema/routes.ts';
import type { Document } from './schema/schema.ts';
import { isMap } from './schema/values/shapes.ts';

type Route = Document['routes'][number];
type IssuerPart = Document['issuers'][number];

/**
 * Returns warnings about a valid file: rules that no caller can match, and settings that refuse every token.
 *
 * @param raw The file before the schema read it, with its groups replaced by their routes.
 */
export function warningsOf(document: Document, raw: unknown): readonly Warning[] {
  const entries = document.issuers.map((part) => resolveIssuers(part, unresolved));
  const issuers = entries.flat();
  const openAdmin = openAdminProblem(document);
  const admin = {
    path: ['listen', 'admin'],
    message: `${openAdmin}. If NODE_ENV is production, the gateway refuses this`,
  };
  const users = together(issuers.map((issuer) => rolesOf(issuer, [issuer.claims.role])));
  const machines = together(issuers.map((issuer) => rolesOf(issuer, [issuer.machines.role])));
  return [
    ...(openAdmin === undefined ? [] : [admin]),
    ...document.issuers.flatMap((part, index) => ofIssuer(part, entries[index] ?? [], ['issuers', index], raw)),
    ...document.routes.flatMap((route, index) => [
      ...ofRoles(route, users, machines, ['routes', index, 'allow', 'roles']),
      ...ofClients(route, issuers, ['routes', index, 'allow', 'clients']),
      ...dottedKeys(raw, ['routes', index, 'allow', 'claims']),
    ]),
    ...document.tests.flatMap(({ request: { as } }, index) => {
      const issuer = issuers.find(({ issuer: iss, name }) => [undefined, iss, name].includes(as?.issuer));
      const found = as && issuer && whyImpossible(as, issuer);
      return found ? [{ path: ['tests', index, 'request', 'as', found.key], message: found.message }] : [];
    }),
  ];
}

/** Undefined means any name. */
function together(all: readonly Names[]): ReadonlySet<string> | undefined {
  const lists = all.map((names) => (names !== undefined && 'list' in names ? names.list : undefined));
  return lists.includes(undefined) ? undefined : new Set(lists.flatMap((list) => [...(list ?? [])]));
}

function ofRoles(
  { allow: { roles = [], clients } = {} }: Route,
  users: ReadonlySet<string> | undefined,
  machines: ReadonlySet<string> | undefined,
  path: Path,
): readonly Warning[] {
  if (users === undefined || (clients !== undefined && machines === undefined)) return [];
  const known = new Set([...users, ...((clients && machines) ?? [])]);
  return roles.flatMap((role, index) => {
    if (known.has(role)) return [];
    const isOfMachines = clients === undefined && (machines?.has(role) ?? true);
    const kind = isOfMachines
      ? 'a role that users can have, and machines need allow.clients'
      : 'a role that an issuer can give';
    return [{ path: [...path, index], message: unknown(kind, role, [...known]) }];
  });
}

function ofClients({ allow }: Route, issuers: readonly Issuer[], path: Path): readonly Warning[] {
  const parties: readonly AllowedParty[] = allow?.clients === 'any' ? [] : (allow?.clients ?? []);
  return parties.flatMap(({ issuer: iss, name }, index) => {
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

/** Whether an issuer has this `iss`, or a template that allows it. */
const isFrom = ({ issuer, template }: Issuer, iss: string): boolean =>
  issuer === iss || (template?.value === undefined && iss.startsWith(issuer.split('{')[0] ?? ''));

/** @param issuers The issuers of the entry: one for each template value. */
function ofIssuer(part: IssuerPart, issuers: readonly Issuer[], path: Path, raw: unknown): readonly Warning[] {
  const slash = endsWithSlash(part);
  const wanted = slash === true ? 'must end with a slash, as every' : 'must not end with a slash: no';
  const message = `${wanted} iss of ${part.provider ?? 'auth0'} does`;
  const isRight = slash === undefined || slash === part.issuer.endsWith('/');
  return [
    ...(isRight ? [] : [{ path: [...path, 'issuer'], message }]),
    ...longCache(part, path),
    ...issuers.flatMap((issuer) => outsideLists(issuer, path)),
    ...['claims', 'machines'].flatMap((key) => dottedSources(raw, [...path, key])),
    ...[['require'], ['machines', 'when']].flatMap((keys) => dottedKeys(raw, [...path, ...keys])),
  ];
}

const unannouncedMs = 5_000;

/** Without events or revocations, the gateway learns only from the next answer that a token was ended. */
function longCache({ introspection, revocations, events }: IssuerPart, path: Path): readonly Warning[] {
  const isAnnounced = revocations !== undefined || events !== undefined;
  if (introspection === undefined || isAnnounced || introspection.cacheFor <= unannouncedMs) return [];
  const message =
    'is above 5s without events or revocations: a token that the issuer has ended is accepted for that long';
  return [{ path: [...path, 'introspection', 'cacheFor'], message }];
}

function outsideLists(issuer: Issuer, path: Path): readonly Warning[] {
  const kinds = [
    ['roles', 'role', ''],
    ['tenants', 'tenantId', issuer.tenantPrefix],
  ] as const;
  return kinds.flatMap(([list, key, prefix]) =>
    (['claims', 'machines'] as const).flatMap((part) => {
      const [allowed, source] = [issuer[list], issuer[part][key]];
      if (allowed === undefined || source === undefined) return [];
      const values = valuesOf(source, issuer.template) ?? [];
      const kind = `in this issuer's ${list}, so tokens with it are refused`;
      return values
        .map(([at, value]) => ({ at, name: prefix + value }))
        .filter(({ name }) => !allowed.has(name))
        .map(({ at, name }) => ({ path: [...path, part, key, ...at], message: unknown(kind, name, [...allowed]) }));
    }),
  );
}

/** Matches `realm_access.roles`, but not a URL or a domain such as `kubernetes.io`. */
const isDotted = (name: unknown): boolean =>
  typeof name === 'string' && /^[\w-]+(?:\.[\w-]+)+$/.test(name) && !/\.(?:com|dev|io|net|org)$/.test(name);

/** Finds claim names that should be paths. A list with one name confirms that the dot belongs to the name. */
function dottedSources(raw: unknown, path: Path): readonly Warning[] {
  const part = valueAt(raw, path);
  const sources = Object.entries(isMap(part) ? part : {}).map(([key, source]) =>
    isMap(source) ? { at: [...path, key, 'from'], name: source.from } : { at: [...path, key], name: source },
  );
  const advice =
    'is the name of a single claim: for a claim inside another, write a list such as [realm_access, roles]';
  return sources.flatMap(({ at, name }) => (isDotted(name) ? [{ path: at, message: `"${name}" ${advice}` }] : []));
}

function dottedKeys(raw: unknown, path: Path): readonly Warning[] {
  const value = valueAt(raw, path);
  if (Array.isArray(value)) return value.flatMap((_, index) => dottedKeys(raw, [...path, index]));
  const advice = 'is the name of a single claim: conditions cannot read a claim inside another';
  return Object.keys(isMap(value) ? value : {})
    .filter(isDotted)
    .map((key) => ({ path, key, message: `"${key}" ${advice}` }));
}
