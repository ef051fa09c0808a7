import type { AllowedParty, ClaimPath, Issuer, Route, Scalar } from '../config/config.ts';
import { freshFor } from './path-shapes.ts';
import { type CallerKind, claimsReadBy, keyOf } from './token-reading.ts';

/** Thrown where an exact comparison would need too many examples. */
export class Incomparable extends Error {}

export type Reader = Readonly<{ issuer: Issuer; route: Route }>;

const maxExamples = 20_000;

// The example key of RFC 7638.
const thumbprint = 'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs';

/**
 * Returns values of one claim, one or more for each way in which the two configurations can read it: no value, each
 * value that something compares, some other value, and lists of them.
 *
 * @param tenants Path segments that a tenant may have to equal.
 */
export function examplesOf(
  path: ClaimPath,
  readers: readonly Reader[],
  kind: CallerKind,
  tenants: readonly string[],
): readonly unknown[] {
  const key = keyOf(path);
  if (key === 'act') return [undefined, ...actorsIn(readers), { sub: 'other-actor' }];
  if (key === 'cnf') return [undefined, { jkt: thumbprint }];
  const isClient = readers.some(({ issuer }) => keyOf(claimsReadBy(issuer, kind).client) === key);
  const { ranked, alternatives, sets } = comparedWith(key, readers, kind, tenants);
  // Two values that stand in the same lists are read alike, unless the order of a list matters.
  const placeOf = (value: Scalar) =>
    JSON.stringify([
      ...ranked.map((list) => list.indexOf(value as string)),
      ...[...alternatives, ...sets].map((list) => list.includes(value)),
    ]);
  const values = [...ranked, ...alternatives, ...sets].flat();
  const distinct = [...new Map(values.toReversed().map((value) => [placeOf(value), value])).values()].toReversed();
  const other = freshFor(new Set(values.map(String)), 'unlisted');
  if (isClient) return [undefined, ...distinct, other];
  const optionsIn = (list: readonly Scalar[]) =>
    distinct.filter((value) => list.includes(value)).map((value) => [value]);
  // A list that both sides have leads to the same results on both. Of ranked ones, the order matters too.
  const unique = <List>(lists: readonly List[]) => [
    ...new Map(lists.map((one) => [JSON.stringify(one), one])).values(),
  ];
  const all = [
    ...unique(ranked).map(optionsIn),
    ...unique([...alternatives.map(optionsIn), ...sets.map((set) => [set])]),
  ];
  let lists: readonly (readonly Scalar[])[] = [[]];
  for (const more of all) {
    const unions = lists.flatMap((list) => [list, ...more.map((option) => [...new Set([...list, ...option])])]);
    lists = unique(unions);
    if (lists.length > maxExamples) throw new Incomparable(`too many values of ${key} are compared`);
  }
  return [undefined, ...distinct, other, ...lists];
}

/** The lists of values with which a claim is compared: ranked ones, alternatives, and sets that must be whole. */
function comparedWith(key: string, readers: readonly Reader[], kind: CallerKind, tenants: readonly string[]) {
  const ranked: (readonly string[])[] = [];
  const alternatives: (readonly Scalar[])[] = [];
  const sets: (readonly string[])[] = [];
  for (const { issuer, route } of readers) {
    const { roles, clients = 'any', scopes = 'any', claims = {} } = route.allow;
    const read = claimsReadBy(issuer, kind);
    const isAt = (path: ClaimPath | undefined) => path !== undefined && keyOf(path) === key;
    if (isAt(read.role)) {
      if (read.roles !== undefined) ranked.push(read.roles);
      else alternatives.push(roles ?? [], [...(issuer.roles ?? [])]);
    }
    if (isAt(read.tenant)) {
      const { tenantPrefix: prefix } = issuer;
      const wanted = [...(issuer.tenants ?? []), ...tenants].filter((one) => one.startsWith(prefix));
      ranked.push(
        read.tenantIds ?? [],
        wanted.map((one) => one.slice(prefix.length)),
      );
    }
    if (isAt(read.scope) && scopes !== 'any') sets.push(scopes);
    if (isAt(read.client)) {
      const isOwn = ({ issuer: iss = issuer.issuer }: AllowedParty) => iss === issuer.issuer || issuer.template;
      const parties = clients === 'any' ? [] : clients.filter(isOwn).map(({ name }) => name);
      alternatives.push(parties, issuer.clients ?? []);
    }
    if (Object.hasOwn(claims, key)) alternatives.push(claims[key] ?? []);
  }
  return { ranked, alternatives, sets };
}

const actorsIn = (readers: readonly Reader[]): readonly unknown[] =>
  readers.flatMap(({ route: { allow } }) =>
    (allow.actors ?? []).map(({ name, issuer }) => ({ sub: name, ...(issuer !== undefined && { iss: issuer }) })),
  );
