import type { ClaimPath, Issuer, Route } from '../config/config.ts';
import type { Code } from '../errors.ts';
import type { Params, PolicyCaller, Rule } from '../routing/policy.ts';
import type { Claims } from '../tokens/claims.ts';
import { examplesOf, Incomparable } from './claim-examples.ts';
import { conditionsOn } from './conditions.ts';
import { type Asked, decisionBy, type Target } from './engine.ts';
import type { PathShape } from './path-shapes.ts';
import { type Check, differingRegions, type Region, type Steps } from './regions.ts';
import {
  type CallerKind,
  type ClaimKey,
  claimsReadBy,
  compileReader,
  completed,
  keyOf,
  pathParameters,
  pathsOf,
  payloadOf,
  tokenCodes,
  whyIncomparable,
} from './token-reading.ts';

/** Callers that are compared together: anonymous ones, a service, or all users or OAuth clients of one issuer. */
export type Population = Readonly<{
  service?: string | undefined;
  /** The issuer before and after. Undefined where it is not trusted. */
  token?: Readonly<{ iss: string; kind: CallerKind; issuers: readonly (Issuer | undefined)[] }> | undefined;
}>;

/** A region, and a request of one of its callers. `segments` replaces free segments of the path, by their index. */
export type Difference = Omit<Region, 'examples' | 'matching'> &
  Readonly<{ such: readonly string[]; segments: ReadonlyMap<number, string>; asked: Asked }>;

type RouteTarget = Exclude<Target, { route?: undefined }>;

/** A target whose result depends on the token. */
type Judged = RouteTarget & Readonly<{ side: number; issuer: Issuer }>;

/** A part of a request that rules read without the others: some claims, and perhaps the parameters of the path. */
type Part = Readonly<{ paths: readonly ClaimPath[]; examples: readonly Example[] }>;

type Example = Readonly<{
  values: readonly (readonly [ClaimPath, unknown])[];
  /** The values of parameters, by the index of their segment. */
  segments: ReadonlyMap<number, string>;
  /** Other values with the same results, for people. */
  alike: Set<string>;
  /** What reading the token finds, before and after, and what each rule says. */
  found: readonly (
    | Readonly<{ codes: ReadonlySet<Code>; claims: Claims; verdicts: ReadonlyMap<Rule, Code> }>
    | undefined
  )[];
}>;

/**
 * Finds the callers for whom two targets decide differently.
 *
 * @throws Incomparable
 */
export function compareCallers(
  targets: readonly Target[],
  population: Population,
  shape: PathShape,
): readonly Difference[] {
  const { token, service } = population;
  const judged = targets.flatMap((target, side): readonly Judged[] => {
    const issuer = token?.issuers[side];
    if (target.route === undefined || target.route.auth === 'public' || issuer === undefined) return [];
    return [{ ...target, side, issuer }];
  });
  const parts =
    token === undefined ? [] : partsOf(judged, token.kind).map((paths) => examine(paths, judged, population, shape));
  const [before, after] = targets.map((target, side) => {
    const own = judged.find((one) => one.side === side);
    return own === undefined ? constant(target, population) : stepsOf(own, population, parts);
  });
  const counts = parts.map(({ examples }) => examples.length);
  return differingRegions(before as Steps, after as Steps, counts).map((region) => {
    const chosen = region.examples.flatMap((example, part) => parts[part]?.examples[example] ?? []);
    const segments = new Map(chosen.flatMap((example) => [...example.segments]));
    const payload =
      token &&
      tokenOf(
        chosen.flatMap(({ values }) => values),
        token,
      );
    const { matching, examples: _, ...difference } = region;
    const such = Array.from(matching, ([part, all]) =>
      all.flatMap((example) => [...(parts[part]?.examples[example]?.alike ?? [])]),
    );
    return { ...difference, such: such.flat(), segments, asked: { payload, service } };
  });
}

function tokenOf(values: Example['values'], { iss, kind, issuers }: NonNullable<Population['token']>) {
  const known = issuers.find((issuer) => issuer !== undefined);
  return completed(payloadOf(values), iss, kind, known === undefined ? [] : claimsReadBy(known, kind).client);
}

/** The decision about callers whose tokens do not matter: no route, a public one, no token, or an unknown issuer. */
function constant(target: Target, { token, service }: Population): Steps {
  if (target.route === undefined) return { checks: [], last: { route: null, code: target.code, caller: null } };
  const { route, policy, params } = target;
  if (token !== undefined && route.auth !== 'public')
    return { checks: [], last: { route: route.name, code: 'token_issuer_unknown', caller: null } };
  const caller: PolicyCaller = service === undefined ? { kind: 'anonymous' } : { kind: 'service', serviceId: service };
  return { checks: [], last: decisionBy(route, policy, caller, params) };
}

/** Groups the claims that the rules and mappings of both sides read together. The first part reads no claim. */
function partsOf(judged: readonly Judged[], kind: CallerKind): readonly (readonly ClaimPath[])[] {
  const groups = judged.flatMap(({ issuer, policy }) => {
    const { role, tenant, client } = claimsReadBy(issuer, kind);
    const ofToken = [role, tenant, issuer.clients && client].flatMap((path) => (path === undefined ? [] : [[path]]));
    return [...ofToken, ...policy.map(({ reads }) => pathsOf(reads, issuer, kind))];
  });
  const inputs = judged.flatMap(({ policy }) => policy.map(({ reads }) => reads));
  const why = whyIncomparable(
    judged.map(({ issuer }) => issuer),
    kind,
    groups.flat(),
  );
  if (why !== undefined) throw new Incomparable(why);
  if (inputs.some((reads) => reads === 'claim:act' || reads === 'claim:cnf'))
    throw new Incomparable('a rule reads act or cnf as a value');
  let parts: readonly ReadonlyMap<ClaimKey, ClaimPath>[] = [];
  for (const group of groups) {
    const added = new Map(group.map((path) => [keyOf(path), path]));
    if (added.size === 0) continue;
    const touched = parts.filter((part) => [...added.keys()].some((key) => part.has(key)));
    const merged = new Map([...touched, added].flatMap((part) => [...part]));
    parts = [...parts.filter((part) => !touched.includes(part)), merged];
  }
  return [[], ...parts.map((part) => [...part.values()])];
}

/** Reads examples of one part of a token on both sides. Of examples with the same results, it keeps the first. */
function examine(
  paths: readonly ClaimPath[],
  judged: readonly Judged[],
  population: Population,
  shape: PathShape,
): Part {
  const token = population.token as NonNullable<Population['token']>;
  const keys = new Set(paths.map(keyOf));
  const readers = judged.map(({ side, issuer }) => [side, compileReader(issuer, token.kind, keys)] as const);
  const own = keyOf(pathParameters);
  const tenants = keys.has(own) ? judged.flatMap((one) => tenantSegment(one) ?? []) : [];
  const fixed = tenants.flatMap((at) => (shape.taken[at] === undefined ? [shape.segments[at] ?? ''] : []));
  const choices = paths
    .filter((path) => keyOf(path) !== own)
    .map((path) => [path, examplesOf(path, judged, token.kind, fixed)] as const);
  const examples = new Map<string, Example>();
  for (const values of productOf(choices)) {
    const payload = tokenOf(values, token);
    const read = new Map(readers.map(([side, reader]) => [side, reader(payload)]));
    const ids = [...read.values()].flatMap(({ claims }) => claims.tenantId ?? []);
    for (const segments of segmentChoices(tenants, ids, shape)) {
      const found = [0, 1].map((side) => {
        const one = judged.find((judge) => judge.side === side);
        const known = read.get(side);
        return one && known && { ...known, verdicts: verdictsOf(one, known.claims, segments, population, keys) };
      });
      const result = JSON.stringify(
        found.map((one) => one && [[...one.codes], Array.from(one.verdicts, ([rule, code]) => [rule.text, code])]),
      );
      const example = examples.get(result) ?? { values, segments, found, alike: new Set<string>() };
      examples.set(result, example);
      const [[path, value] = [[], undefined], ...others] = values;
      if (others.length === 0 && isShown(value)) example.alike.add(`${keyOf(path)}: ${value}${roleText(found, value)}`);
    }
  }
  return { paths, examples: [...examples.values()] };
}

/** The role that a token has because of this value, if the value itself is none. */
function roleText(found: Example['found'], value: unknown): string {
  const roles = found.map((one) => one?.claims.role ?? '').filter((role) => !['', 'example', value].includes(role));
  return roles.length === 0 ? '' : ` (role ${[...new Set(roles)].join(', then ')})`;
}

const isShown = (value: unknown): boolean =>
  value !== undefined && typeof value !== 'object' && !/^unlisted(?:-\d+)?$/.test(String(value));

function verdictsOf(
  { route, policy, params: given, issuer }: Judged,
  claims: Claims,
  segments: ReadonlyMap<number, string>,
  { service, token }: Population,
  keys: ReadonlySet<ClaimKey>,
): ReadonlyMap<Rule, Code> {
  const params: Params = { ...given, ...namedSegments(route, segments) };
  const principal = { token: { claims } };
  const caller: PolicyCaller =
    service === undefined
      ? { kind: claims.kind, token: principal.token, bound: claims.jkt !== undefined }
      : { kind: 'service', serviceId: service, principal };
  const kind = token?.kind ?? 'user';
  const isHere = ({ reads }: Rule) => {
    const [first] = pathsOf(reads, issuer, kind);
    return first === undefined ? keys.size === 0 : keys.has(keyOf(first));
  };
  return new Map(
    policy.filter(isHere).flatMap((rule) => {
      const code = rule.refusal(caller, params);
      return code === undefined ? [] : [[rule, code] as const];
    }),
  );
}

function namedSegments({ path }: Route, segments: ReadonlyMap<number, string>): Record<string, string> {
  const parts = path.slice(1).split('/');
  return Object.fromEntries(Array.from(segments, ([at, value]) => [parts[at]?.slice(1) ?? '', value]));
}

/** The segment whose value must be the caller's tenant. */
function tenantSegment({ route: { path, allow } }: Judged): number | undefined {
  return allow.tenant === undefined ? undefined : path.slice(1).split('/').indexOf(allow.tenant);
}

/** The tenants of the token and another value, in every segment that must be a tenant and may have any value. */
function segmentChoices(tenants: readonly number[], ids: readonly string[], shape: PathShape) {
  const free = [...new Set(tenants)].filter((at) => shape.taken[at] !== undefined);
  const isFree = (at: number, id: string) =>
    /^[\w.~:@|-]+$/.test(id) && !/^\.|\.$/.test(id) && shape.taken[at]?.has(id.toLowerCase()) === false;
  const choices = free.map((at) => [at, [shape.segments[at] ?? '', ...ids.filter((id) => isFree(at, id))]] as const);
  return productOf(choices).map((chosen) => new Map(chosen));
}

function productOf<Key, Value>(
  choices: readonly (readonly [Key, readonly Value[]])[],
): readonly (readonly (readonly [Key, Value])[])[] {
  let all: readonly (readonly (readonly [Key, Value])[])[] = [[]];
  for (const [key, values] of choices) {
    if (all.length * values.length > maxCombinations) throw new Incomparable('too many values are compared together');
    all = all.flatMap((chosen) => values.map((value) => [...chosen, [key, value] as const]));
  }
  return all;
}

const maxCombinations = 50_000;

function stepsOf(own: Judged, { token, service }: Population, parts: readonly Part[]): Steps {
  const { side, route, policy, issuer } = own;
  const isSame = token?.issuers.every((one) => one !== undefined && readingOf(one) === readingOf(issuer));
  const reading = isSame === true ? 'both' : side === 0 ? 'before' : 'after';
  const checks: Check[] = [];
  const namesOf = (part: number) => (parts[part]?.paths ?? []).filter((path) => path !== pathParameters).map(keyOf);
  const add = (part: number, code: Code, fails: readonly boolean[], rule?: Rule) => {
    if (fails.includes(true))
      checks.push({ part, code, fails, ...conditionsOn(namesOf(part), rule, code, route, reading) });
  };
  for (const code of tokenCodes) {
    for (const [part, { examples }] of parts.entries())
      add(
        part,
        code,
        examples.map(({ found }) => found[side]?.codes.has(code) === true),
      );
    if (code === 'token_client_refused' && token?.kind === 'client' && !issuer.machines.isAccepted)
      add(0, 'token_machine_refused', [true]);
  }
  for (const rule of policy) {
    for (const [part, { examples }] of parts.entries()) {
      const codes = examples.map(({ found }) => found[side]?.verdicts.get(rule));
      for (const code of new Set(codes)) {
        if (code !== undefined)
          add(
            part,
            code,
            codes.map((one) => one === code),
            rule,
          );
      }
    }
  }
  const caller = service === undefined ? (token?.kind ?? null) : 'service';
  return { checks, last: { route: route.name, code: null, caller } };
}

/** Everything in an issuer that decides what the gateway reads from its tokens. Equal texts mean equal readings. */
export function readingOf(issuer: Issuer): string {
  const { claims, machines, clients, roles, tenants, tenantPrefix, template, types, isStrict } = issuer;
  const all = [issuer.issuer, claims, machines, clients, roles, tenants, tenantPrefix, template, types, isStrict];
  return JSON.stringify(all, (_key, part: unknown) => (part instanceof Set ? [...part] : part));
}
