import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { GatewayConfig, Issuer } from '../../src/config/config.ts';
import { loadWithoutFiles, type Outline } from '../../src/config/load.ts';
import { compareAccess } from '../../src/diff/compare.ts';
import type { AccessChange, Condition, Decision } from '../../src/diff/report-schema.ts';
import { explain } from '../../src/explain/answer.ts';
import { issuerOf } from '../../src/explain/callers.ts';
import { createDryRun } from '../../src/explain/dry-run.ts';
import { explainQuestion } from '../../src/explain/question.ts';
import { compileClaims } from '../../src/tokens/claim-mapping/read-claims.ts';
import {
  changedPolicy,
  createRandom,
  pools,
  type Random,
  type RandomRequest,
  randomPolicy,
  randomRequest,
} from './random-policies.ts';

const nowMs = Date.parse('2027-01-15T08:00:00Z');
const nowSec = nowMs / 1000;
const upgrade = [
  ['Connection', 'Upgrade'],
  ['Upgrade', 'websocket'],
  ['Sec-WebSocket-Version', '13'],
  ['Sec-WebSocket-Key', 'AAAAAAAAAAAAAAAAAAAAAA=='],
] as [string, string][];

const directory = mkdtempSync(join(tmpdir(), 'countersign-diff-'));

function outlineOf(policy: unknown): Outline {
  const file = join(directory, 'gateway.yaml');
  writeFileSync(file, JSON.stringify(policy));
  return loadWithoutFiles(file);
}

/** The random policy and a valid configuration. Most random policies are valid. */
function validPolicy(make: () => Record<string, unknown>) {
  for (;;) {
    const policy = make();
    try {
      return { policy, outline: outlineOf(policy) };
    } catch {
      // Two routes of one shape, or what only some routers tell apart.
    }
  }
}

type Read = ReturnType<ReturnType<typeof compileClaims>> & Readonly<{ issuer: Issuer }>;

/** Decides by the pipeline that serves, with the claims of the reader that verifies tokens. */
export function createServing(config: GatewayConfig) {
  const dryRun = createDryRun(config, () => nowMs);
  const readers = new Map(config.issuers.map((issuer) => [issuer, compileClaims(issuer)]));
  function read(payload: Readonly<Record<string, unknown>> | undefined): Read | undefined {
    const issuer = issuerOf(config.issuers, String(payload?.iss));
    if (payload === undefined || issuer === undefined) return undefined;
    const whole = { aud: 'api', jti: 'j', iat: nowSec, exp: nowSec + 60, ...payload };
    return { issuer, ...(readers.get(issuer) as ReturnType<typeof compileClaims>)({ typ: 'at+jwt' }, whole, nowMs) };
  }
  return {
    config,
    read,
    async decide({ method, path, origin, service, payload }: RandomRequest): Promise<Decision> {
      const found = read(payload);
      const code = payload && (found === undefined ? 'token_issuer_unknown' : found.findings[0]?.code);
      const token = found && code === undefined ? { claims: found.claims, issuer: found.issuer } : undefined;
      const preflight: [string, string][] = [
        ['Origin', origin ?? ''],
        ['Access-Control-Request-Method', 'GET'],
      ];
      const run = await dryRun({
        method: method === 'WebSocket' ? 'GET' : method === 'preflight' ? 'OPTIONS' : method,
        requestTarget: path,
        headers: method === 'WebSocket' ? upgrade : method === 'preflight' ? preflight : [],
        token,
        service,
        refusedToken: code === undefined ? undefined : { code, why: '' },
      });
      if (run.answered !== undefined) return { route: null, code: null, caller: 'page' };
      const refused = run.refusal?.code ?? null;
      // A refusal before a route was found, or by it.
      const isMatched = !['own answers', 'sanitize', 'match'].includes(run.stage);
      const route = isMatched ? (run.route?.name ?? null) : null;
      const kind =
        service !== undefined
          ? 'service'
          : run.route?.auth === 'public' || token === undefined
            ? 'anonymous'
            : token.claims.kind;
      return { route, code: refused, caller: refused === null ? kind : null };
    },
  };
}

export type Serving = ReturnType<typeof createServing>;

/** A route's name is only a label. */
const same = (a: Decision, b: Decision) => a.code === b.code && a.caller === b.caller;

/** Whether a class says that it contains a request. Reads the conditions without the code that found them. */
export function contains(
  change: AccessChange,
  given: RandomRequest,
  [before, after]: readonly [Serving, Serving],
): boolean {
  // Without `cors`, a preflight is a request like others.
  const isPlain = before.config.cors === undefined && after.config.cors === undefined && given.method === 'preflight';
  const request = isPlain ? { ...given, method: 'OPTIONS' } : given;
  const { caller, listener, methods, paths, conditions } = change;
  if (listener !== request.listener || !methods.includes(request.method as 'GET')) return false;
  if (
    !paths.some(
      ({ path, not }) => matches(path, request.path) && !not.some((one) => matches(one, request.path, 'prefix')),
    )
  )
    return false;
  if (request.method === 'preflight') {
    const known = [before, after].flatMap(({ config }) => config.cors?.origins ?? []);
    return (
      caller.origins?.includes(request.origin ?? '') ||
      (caller.origins?.includes('https://other.invalid') === true && !known.includes(request.origin ?? '')) ||
      false
    );
  }
  if (caller.kind === 'page') return false;
  if (request.service !== undefined && !caller.services?.includes(request.service)) return false;
  const [was, is] = [before.read(request.payload), after.read(request.payload)];
  const kind = (is ?? was)?.claims.kind ?? (request.payload === undefined ? undefined : 'untrusted');
  if (caller.token !== kind) return false;
  if (kind !== undefined && kind !== 'untrusted' && !isFrom(caller, String(request.payload?.iss))) return false;
  // Each side keeps only the scopes and claims that its own rules compare.
  const either = was && is && { ...is, kept: [was.claims, is.claims] };
  const readBy = { before: was, after: is, both: either ?? is ?? was };
  return conditions.every((condition) => holds(condition, readBy[condition.side], request));
}

const isFrom = ({ issuer = '', not = [] }: AccessChange['caller'], iss: string): boolean => {
  const [start = '', end] = issuer.split(/\{\w+\}/);
  return end === undefined ? iss === issuer : iss.startsWith(start) && iss.endsWith(end) && !not.includes(iss);
};

function matches(pattern: string, path: string, how: 'whole' | 'prefix' = 'whole'): boolean {
  const [wanted, given] = [pattern.split('/'), path.split('/')];
  const isOpen = wanted.at(-1) === '**' || how === 'prefix';
  if (wanted.at(-1) === '**') wanted.pop();
  if (isOpen ? given.length < wanted.length : given.length !== wanted.length) return false;
  return wanted.every((one, at) => one === given[at] || (one === '*' && given[at] !== ''));
}

function holds(
  { reads, is, values }: Condition,
  read: (Read & { kept?: readonly Read['claims'][] }) | undefined,
  { path }: RandomRequest,
): boolean {
  if (read === undefined) return false;
  const { claims, findings, kept = [claims] } = read;
  if (reads === 'token') {
    const [code, ...names] = values;
    const isHere = (claim: string) =>
      code !== 'token_claims_invalid' || claim.split(' or ').some((one) => names.includes(one));
    return findings.some((one) => one.code === code && isHere(one.claim)) === (is === 'refused');
  }
  const party = (name: string | undefined, iss: string | undefined) =>
    name === undefined ? [] : [`${name} of ${iss}`];
  const actor = party(claims.act?.sub, claims.act?.iss);
  const found: readonly unknown[] =
    reads === 'role'
      ? [claims.role]
      : reads === 'tenant'
        ? [claims.tenantId && `segment ${path.split('/').indexOf(claims.tenantId)}`]
        : reads === 'client'
          ? party(claims.clientId, claims.issuer)
          : reads === 'actor'
            ? actor
            : reads === 'scopes'
              ? kept.flatMap(({ scope }) => scope)
              : reads === 'binding'
                ? [claims.jkt].filter((one) => one !== undefined)
                : kept.flatMap((one) => one.kept.get(reads.slice('claim:'.length)) ?? []);
  if (reads === 'tenant') {
    const at = Number(String(values[0]).split(' ')[1]);
    return (claims.tenantId !== undefined && path.split('/')[at] === claims.tenantId) === (is === 'any');
  }
  const has = (value: unknown) => found.includes(value);
  switch (is) {
    case 'any':
      return values.some(has);
    case 'none':
      return (reads !== 'actor' || found.length > 0) && !values.some(has);
    case 'all':
      return values.every(has);
    case 'not all':
      return !values.every(has);
    case 'present':
      return found.length > 0;
    case 'absent':
      return found.length === 0;
    case 'absent or any':
      return found.length === 0 || values.some(has);
    default:
      return false;
  }
}

/** What one random pair shows. Each entry of `wrong` is a proof that the comparison is. */
export async function tryPair(seed: number, requests: number) {
  const random = createRandom(seed);
  const first = validPolicy(() => randomPolicy(random));
  const second = validPolicy(() => (random.chance(0.2) ? randomPolicy(random) : changedPolicy(random, first.policy)));
  const configs = [first.outline.config, second.outline.config] as const;
  const changes = compareAccess(first.outline, second.outline, nowMs).access;
  const servings = [createServing(configs[0]), createServing(configs[1])] as const;
  const wrong: string[] = [];
  const counts = { classes: changes.length, unknown: 0, changed: 0, asked: 0 };
  for (const change of changes) {
    if (change.effect === 'unknown') counts.unknown += 1;
    else wrong.push(...(await wrongWitness(change, configs)));
  }
  // Some random requests are not compared.
  for (let tries = 0; counts.asked < requests && tries < 3 * requests; tries += 1) {
    const request = requestNear(random, changes);
    // A service acts only for callers whose tokens a gateway has read.
    const isKnown = servings.some((serving) => serving.read(request.payload) !== undefined);
    if (request.service !== undefined && request.payload !== undefined && !isKnown) continue;
    // Whether a token is valid is not compared.
    const isUnmet = ({ code }: Read['findings'][number]) => code === 'token_requirement_unmet';
    if (servings.some((serving) => serving.read(request.payload)?.findings.some(isUnmet))) continue;
    const [was, is] = (await Promise.all(servings.map((serving) => serving.decide(request)))) as [Decision, Decision];
    const inside = changes.filter((change) => contains(change, request, servings));
    if (inside.some(({ effect }) => effect === 'unknown')) continue;
    counts.asked += 1;
    const text = `seed ${seed}: ${JSON.stringify(request)} ${JSON.stringify(was)} ${JSON.stringify(is)}`;
    if (same(was, is)) {
      if (inside.length > 0) wrong.push(`${text} is unchanged, but listed: ${JSON.stringify(inside[0])}`);
      continue;
    }
    counts.changed += 1;
    const listed = inside.filter(({ before, after }) => isDeepStrictEqual([before, after], [was, is]));
    if (listed.length !== 1 || inside.length !== 1)
      wrong.push(`${text} changed, and is in ${listed.length} of ${inside.length} classes: ${JSON.stringify(inside)}`);
  }
  return { wrong, counts, policies: [first.policy, second.policy] };
}

/** Half of the requests begin as a witness, so that they come close to the edge of a class. */
function requestNear(random: Random, changes: readonly AccessChange[]): RandomRequest {
  const other = randomRequest(random);
  if (changes.length === 0 || random.chance(0.5)) return other;
  const { witness, listener, methods, caller } = random.pick(changes);
  const payload = witness.payload === undefined ? undefined : { ...JSON.parse(witness.payload) };
  for (const [key, value] of Object.entries(other.payload ?? {})) {
    if (payload !== undefined && !['iss', 'sub', 'client_id'].includes(key) && random.chance(0.15))
      payload[key] = value;
  }
  const service = listener === 'internal' ? random.pick(caller.services ?? pools.services) : undefined;
  const method = random.pick(methods);
  return {
    listener,
    method,
    path: random.chance(0.8) ? witness.path : other.path,
    ...(method === 'preflight' && { origin: random.pick([...pools.origins, 'https://unlisted.test']) }),
    ...(service !== undefined && { service }),
    ...(payload !== undefined && { payload }),
  };
}

/** Asks `explain` about the witness, with both files. */
async function wrongWitness(change: AccessChange, configs: readonly GatewayConfig[]): Promise<readonly string[]> {
  const asked = explainQuestion.parse(change.witness);
  const answers = await Promise.all(configs.map((config) => explain(asked, { config, nowMs, openIssuer: undefined })));
  return answers.flatMap(({ outcome, route }, side) => {
    const expected = side === 0 ? change.before : change.after;
    const isRight = outcome.code === expected?.code && (expected.route === null || route === expected.route);
    return isRight ? [] : [`${JSON.stringify(change)}: explain says ${JSON.stringify([route, outcome.code])}`];
  });
}

/** Tries pairs with consecutive seeds. */
export async function tryPairs({
  firstSeed,
  pairs,
  requests,
}: Readonly<Record<'firstSeed' | 'pairs' | 'requests', number>>) {
  const wrong: string[] = [];
  const counts = { classes: 0, unknown: 0, changed: 0, asked: 0 };
  for (let seed = firstSeed; seed < firstSeed + pairs; seed += 1) {
    const result = await tryPair(seed, requests);
    wrong.push(...result.wrong);
    for (const key of ['classes', 'unknown', 'changed', 'asked'] as const) counts[key] += result.counts[key];
  }
  return { wrong, counts };
}
