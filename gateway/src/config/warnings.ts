import { type Path, unknown } from '@countersign/strict-yaml';
import { unresolved } from './checks/issuer-checks.ts';
import { openAdminProblem } from './checks/listen-checks.ts';
import type { Warning } from './checks/problems.ts';
import { valuesOf, whyImpossible } from './checks/tenant-checks.ts';
import { endsWithSlash } from './presets.ts';
import { valueAt } from './route-groups.ts';
import { isAlike, ruleWarnings, takenMethods } from './route-warnings.ts';
import { type Issuer, resolveIssuers } from './schema/issuers/issuers.ts';
import { requiredScopes } from './schema/routes.ts';
import type { Document } from './schema/schema.ts';
import { isMap } from './schema/values/shapes.ts';

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
  return [
    ...(openAdmin === undefined ? [] : [admin]),
    ...document.issuers.flatMap((part, index) => ofIssuer(part, entries[index] ?? [], ['issuers', index], raw)),
    ...slashes(document.issuers),
    ...unused(document),
    ...ruleWarnings(document.routes, issuers),
    ...takenMethods(document.routes),
    ...document.routes.flatMap((_, index) => dottedKeys(raw, ['routes', index, 'allow', 'claims'])),
    ...ofTests(document, issuers),
  ];
}

/** Tokens have one of the two in `iss`, compared byte by byte. */
const slashes = (issuers: readonly IssuerPart[]): readonly Warning[] =>
  issuers.flatMap(({ issuer }, index) => {
    const other = issuers.slice(0, index).findIndex((one) => one.issuer !== issuer && isAlike(one.issuer, issuer));
    const message = `differs from issuers[${other}].issuer only by a slash at the end`;
    return other === -1 ? [] : [{ path: ['issuers', index, 'issuer'], message }];
  });

function unused({ upstreams, routes }: Document): readonly Warning[] {
  const used = new Set(routes.map(({ upstream }) => upstream));
  return Object.keys(upstreams)
    .filter((name) => !used.has(name))
    .map((key) => ({ path: ['upstreams'], key, message: `no route uses the upstream "${key}"` }));
}

function ofTests({ tests, routes, scopes }: Document, issuers: readonly Issuer[]): readonly Warning[] {
  const known = [...new Set([...routes.flatMap(({ allow = {} }) => requiredScopes(allow)), ...scopes])];
  return tests.flatMap(({ request: { as } }, index) => {
    if (as === undefined) return [];
    const path = ['tests', index, 'request', 'as'];
    const issuer = issuers.find(({ issuer: iss, name }) => [undefined, iss, name].includes(as.issuer));
    const found = issuer && whyImpossible(as, issuer);
    const kind = 'a scope that a route requires or that `scopes` lists, so the gateway drops it';
    return [
      ...(issuers.length === 0 ? [{ path, message: 'there are no issuers, so no token can have this caller' }] : []),
      ...(found ? [{ path: [...path, found.key], message: found.message }] : []),
      ...as.scope.flatMap((scope, at) =>
        known.includes(scope) ? [] : [{ path: [...path, 'scope', at], message: unknown(kind, scope, known) }],
      ),
    ];
  });
}

/** @param issuers The issuers of the entry: one for each template value. */
function ofIssuer(part: IssuerPart, issuers: readonly Issuer[], path: Path, raw: unknown): readonly Warning[] {
  const slash = endsWithSlash(part);
  const wanted = slash === true ? 'must end with a slash, as every' : 'must not end with a slash: no';
  const message = `${wanted} iss of ${part.provider ?? 'auth0'} does`;
  const isRight = slash === undefined || slash === part.issuer.endsWith('/');
  const [metadata] = /\/\.well-known\/(?:openid-configuration|oauth-authorization-server)/.exec(part.issuer) ?? [];
  const isUrl = `is the URL of the issuer's metadata: write the value of iss in its tokens, without ${metadata}`;
  return [
    ...(metadata === undefined ? [] : [{ path: [...path, 'issuer'], message: isUrl }]),
    ...(isRight || metadata !== undefined ? [] : [{ path: [...path, 'issuer'], message }]),
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
