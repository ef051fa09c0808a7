import type { ClaimPath, Issuer } from '../config/config.ts';
import type { Code } from '../errors.ts';
import type { Params, PolicyCaller, Rule, RuleInput } from '../routing/policy.ts';
import type { Claims } from '../tokens/claims.ts';
import { examplesOf, Incomparable } from './claim-examples.ts';
import { conditionsOn } from './conditions.ts';
import { type Asked, decisionBy, type RouteTarget, type Target } from './engine.ts';
import type { PathShape } from './path-shapes.ts';
import { type Check, differingRegions, type Region, type Steps } from './regions.ts';
import type { Decision } from './report-schema.ts';
import {
  type CallerKind,
  type ClaimKey,
  claimsReadBy,
  completed,
  keyOf,
  pathParameters,
  pathsOf,
  payloadOf,
  type Reading,
  readerOf,
  remembered,
  tokenCodes,
  whyIncomparable,
} from './token-reading.ts';

/** All users or OAuth clients of one issuer. */
export type Token = Readonly<{
  iss: string;
  /** The template for whose other values `iss` stands, and those that it does not stand for. */
  others?: Readonly<{ issuer: string; not: readonly string[] }>;
  kind: CallerKind;
  /** Before and after. Undefined where it is not trusted. */
  issuers: readonly (Issuer | undefined)[];
  /** Whether both read the token in one way. */
  isAlike: boolean;
}>;

/** Callers that are compared together. Without both, they are anonymous. */
export type Population = Readonly<{ service?: string | undefined; token?: Token | undefined }>;

/** A region, and a request of one of its callers. `segments` replaces free segments of the path, by their index. */
export type Difference = Omit<Region, 'box' | 'parts'> &
  Readonly<{ such: readonly string[]; segments: ReadonlyMap<number, string>; asked: Asked }>;

/** A target whose result depends on the token. */
type Judged = RouteTarget & Readonly<{ side: 'before' | 'after'; issuer: Issuer }>;

/** A part of a request that rules read without the others: some claims, and perhaps the parameters of the path. */
type Part = Readonly<{ paths: readonly ClaimPath[]; examples: readonly Example[] }>;

type Example = Readonly<{
  values: readonly (readonly [ClaimPath, unknown])[];
  /** The values of parameters, by the index of their segment. */
  segments: ReadonlyMap<number, string>;
  /** Other values with the same results, for people. */
  alike: Set<string>;
  /** For each judged target, what reading the token finds, and what each rule says that reads this part. */
  found: readonly Found[];
}>;

type Found = Readonly<{ codes: ReadonlySet<Code>; claims: Claims; verdicts: ReadonlyMap<RuleInput, Code | undefined> }>;

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
  const judged = (['before', 'after'] as const).flatMap((side, at): readonly Judged[] => {
    const [target, issuer] = [targets[at], token?.issuers[at]];
    if (target === undefined || target.code !== undefined || target.route.auth === 'public') return [];
    return issuer === undefined ? [] : [{ ...target, side, issuer }];
  });
  const parts =
    token === undefined ? [] : partsOf(judged, token.kind).map((paths) => partOf(paths, judged, token, service, shape));
  const [before, after] = targets.map((target): Steps => {
    const at = judged.findIndex(({ policy }) => policy === target.policy);
    return at === -1 ? { checks: [], last: constant(target, population) } : stepsOf(judged, at, population, parts);
  });
  const counts = parts.map(({ examples }) => examples.length);
  return differingRegions(before as Steps, after as Steps, counts).map(({ box, parts: needed, ...difference }) => {
    const chosen = parts.flatMap(({ examples }, part) => examples[box[part]?.[0] ?? 0] ?? []);
    const segments = new Map(chosen.flatMap((example) => [...example.segments]));
    const values = chosen.flatMap((example) => example.values);
    const such = Array.from(needed, (part) =>
      (box[part] ?? []).flatMap((example) => [...(parts[part]?.examples[example]?.alike ?? [])]),
    ).flat();
    return { ...difference, such, segments, asked: { payload: token && tokenOf(values, token), service } };
  });
}

function tokenOf(values: Example['values'], { iss, kind, issuers }: Token) {
  const known = issuers.find((issuer) => issuer !== undefined);
  return completed(payloadOf(values), iss, kind, known === undefined ? [] : claimsReadBy(known, kind).client);
}

/** The decision about callers whose tokens do not matter: no route, a public one, no token, or an unknown issuer. */
function constant(target: Target, { token, service }: Population): Decision {
  if (target.code !== undefined) return { route: null, code: target.code, caller: null };
  if (token !== undefined && target.route.auth !== 'public')
    return { route: target.route.name, code: 'token_issuer_unknown', caller: null };
  return decisionBy(target, service === undefined ? { kind: 'anonymous' } : { kind: 'service', serviceId: service });
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

const known = new WeakMap<Token, Map<string, Part>>();

/** Routes with the same rules about one part of a token share its examples. */
function partOf(
  paths: readonly ClaimPath[],
  judged: readonly Judged[],
  token: Token,
  service: string | undefined,
  shape: PathShape,
): Part {
  const keys = new Set(paths.map(keyOf));
  const isHere = (reads: RuleInput, issuer: Issuer) => {
    const [first] = pathsOf(reads, issuer, token.kind);
    return first === undefined ? keys.size === 0 : keys.has(keyOf(first));
  };
  const judges = judged.map((one) => ({
    ...one,
    read: readerOf(one.issuer, token.kind, keys),
    rules: one.policy.filter(({ reads }) => isHere(reads, one.issuer)),
  }));
  const tenants = keys.has(keyOf(pathParameters)) ? judged.flatMap((one) => tenantSegment(one) ?? []) : [];
  const key = JSON.stringify([
    [service, ...keys],
    judges.map(({ side, rules, route: { allow } }) => [
      [side, allow.clients === undefined],
      rules.map(({ text, listed }) => [text, listed]),
    ]),
    tenants.map((at) => [at, shape.segments[at], [...(shape.taken[at] ?? [])]]),
  ]);
  const ofToken = remembered(known, token, () => new Map());
  return remembered(ofToken, key, () => examine(paths, judges, tenants, token, service, shape));
}

type Judge = Judged & Readonly<{ read: ReturnType<typeof readerOf>; rules: readonly Rule[] }>;

/** Reads examples of one part of a token on both sides. Of examples with the same results, it keeps the first. */
function examine(
  paths: readonly ClaimPath[],
  judges: readonly Judge[],
  tenants: readonly number[],
  token: Token,
  service: string | undefined,
  shape: PathShape,
): Part {
  const fixed = tenants.flatMap((at) => (shape.taken[at] === undefined ? [shape.segments[at] ?? ''] : []));
  const choices = paths
    .filter((path) => path !== pathParameters)
    .map((path) => [path, examplesOf(path, judges, token.kind, fixed)] as const);
  const examples = new Map<string, Example>();
  for (const values of productOf(choices)) {
    const payload = tokenOf(values, token);
    const read = judges.map((one) => one.read(payload));
    const ids = read.flatMap(({ claims }) => claims.tenantId ?? []);
    for (const segments of segmentChoices(tenants, ids, shape)) {
      const found = judges.map((one, at): Found => {
        const { codes, claims } = read[at] as Reading;
        const params = paramsIn(one, segments);
        const principal = { token: { claims } };
        const caller: PolicyCaller =
          service === undefined
            ? { kind: claims.kind, ...principal, bound: claims.jkt !== undefined }
            : { kind: 'service', serviceId: service, principal };
        const verdicts = one.rules.map(({ reads, refusal }) => [reads, refusal(caller, params)] as const);
        return { codes, claims, verdicts: new Map(verdicts) };
      });
      const result = JSON.stringify(found.map(({ codes, verdicts }) => [...codes, [...verdicts]]));
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
  const roles = found.map(({ claims }) => claims.role ?? '').filter((role) => !['', 'example', value].includes(role));
  return roles.length === 0 ? '' : ` (role ${[...new Set(roles)].join(', then ')})`;
}

const isShown = (value: unknown): boolean =>
  value !== undefined && typeof value !== 'object' && !/^unlisted(?:-\d+)?$/.test(String(value));

function paramsIn({ route, params }: RouteTarget, segments: ReadonlyMap<number, string>): Params {
  if (segments.size === 0) return params;
  const names = route.path.slice(1).split('/');
  return { ...params, ...Object.fromEntries(Array.from(segments, ([at, value]) => [names[at]?.slice(1), value])) };
}

/** The segment whose value must be the caller's tenant. */
export function tenantSegment({ route }: Pick<Target, 'route'>): number | undefined {
  const at = route?.allow.tenant === undefined ? -1 : route.path.slice(1).split('/').indexOf(route.allow.tenant);
  return at === -1 ? undefined : at;
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

function stepsOf(judged: readonly Judged[], at: number, { token, service }: Population, parts: readonly Part[]): Steps {
  const { side, route, policy } = judged[at] as Judged;
  const reading = token?.isAlike === true ? 'both' : side;
  const checks: Check[] = [];
  const add = (code: Code, rule: Rule | undefined, isFailing: (found: Found) => boolean) => {
    for (const [part, { paths, examples }] of parts.entries()) {
      const fails = examples.map(({ found }) => isFailing(found[at] as Found));
      const claims = paths.filter((path) => path !== pathParameters).map(keyOf);
      if (fails.includes(true)) checks.push({ part, code, fails, ...conditionsOn(claims, rule, code, route, reading) });
    }
  };
  for (const code of tokenCodes) add(code, undefined, ({ codes }) => codes.has(code));
  const found = parts.flatMap(({ examples }) => examples.map((example) => example.found[at]));
  for (const rule of policy)
    for (const code of new Set(found.flatMap((one) => one?.verdicts.get(rule.reads) ?? [])))
      add(code, rule, ({ verdicts }) => verdicts.get(rule.reads) === code);
  const caller = service === undefined ? (token?.kind ?? null) : 'service';
  return { checks, last: { route: route.name, code: null, caller } };
}
