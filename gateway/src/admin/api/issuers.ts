import { z } from 'zod';
import { errorTable } from '../../errors.ts';
import { isActive, keyInUse } from '../../keys/gateway-keys.ts';
import type { ManagedKey } from '../../keys/key-files.ts';
import type { TrustedIssuer } from '../../tokens/verified-tokens.ts';
import { byName, combine, combineFromWorst, eachMember, sum } from './merge.ts';
import {
  count,
  counted,
  countedOf,
  mergeCounted,
  mostFirst,
  since,
  sinceOf,
  time,
  timeOf,
  timeOrNull,
} from './values.ts';
import { type ConsoleSources, defineView } from './view.ts';

const issuer = z
  .object({
    issuer: z.string(),
    name: z.string().nullable(),
    provider: z.string().nullable(),
    source: z
      .string()
      .describe('The URL or the file of its keys, with the names of variables in place of their values.'),
    state: since,
    keys: z.array(
      z.object({ kid: z.string(), algorithm: z.string(), since: time.describe('Since when this process holds it.') }),
    ),
    confirmed: time.nullable().describe('When the key set was last confirmed.'),
    next_fetch: time.nullable(),
    fetches: count,
    failed_fetches: count,
    failure: z.object({ reason: z.string(), in_a_row: count }).nullable().describe('While fetches fail.'),
    ignored: z
      .array(z.object({ kid: z.string().nullable(), reason: z.string() }))
      .describe('Keys that cannot be used.'),
    verified: count.describe('Tokens, not requests: a verified token is cached.'),
    refused: counted.describe('Tokens that were refused when they were verified, by code.'),
  })
  .meta({ id: 'Issuer' });
export type IssuerView = z.output<typeof issuer>;

const cache = z.object({ size: count, hits: count, misses: count, refused_from_memory: count });

const gatewayKey = z.object({
  kid: z.string(),
  algorithm: z.string(),
  state: z.enum(['in use', 'next', 'replaced', 'expired']),
  from: time.describe('From when it may be used. It is published before.'),
  until: time.nullable().describe('Null: until it is retired.'),
});

const issuerList = z.object({
  issuers: z.array(issuer),
  gateway_keys: z.array(gatewayKey).describe('The keys of this gateway, with which it signs or encrypts identity.'),
  unknown: counted.describe('Refused tokens that name none of these issuers, or that are malformed.'),
  refused_requests: z
    .array(z.object({ code: z.string(), title: z.string(), count }))
    .describe('Requests that were refused because of their token, on all routes.'),
  cache,
});
export type IssuerList = z.output<typeof issuerList>;

const keyStates = ['current', 'cannot be refreshed', 'none'];

export const issuersView = defineView({
  path: '/issuers',
  operationId: 'listIssuers',
  tag: 'State',
  summary: 'Token issuers: their keys, and the tokens verified and refused',
  response: issuerList,
  read(sources) {
    const { trust, tokens } = sources.current();
    const { size, hits, misses, refusedFromMemory } = tokens.stats;
    return {
      issuers: [...trust.issuers.values()].map((one) => issuerOf(one, sources)),
      gateway_keys: gatewayKeysOf(sources),
      unknown: countedOf(sources.tokenOutcomes.of(undefined).refused),
      refused_requests: withTitles(refusedTokens(sources)),
      cache: { size, hits, misses, refused_from_memory: refusedFromMemory },
    };
  },
  merge: combine({
    issuers: byName(
      ({ issuer: name }) => name,
      combineFromWorst(keyStates, { fetches: sum, failed_fetches: sum, verified: sum, refused: mergeCounted }),
    ),
    unknown: mergeCounted,
    refused_requests: mostFirst(byName(({ code }) => code, combine({ count: sum }))),
    cache: eachMember(sum),
  }),
});

function gatewayKeysOf({ current, nowMs }: ConsoleSources): IssuerList['gateway_keys'] {
  const { keys, agreementKeys } = current().gatewayKeys;
  return [...describeKeys('Ed25519', keys, nowMs() / 1000), ...describeKeys('X25519', agreementKeys, nowMs() / 1000)];
}

/** @param keys The newest last. The newest one that may be used is in use. */
function describeKeys(algorithm: string, keys: readonly ManagedKey[], nowSec: number): IssuerList['gateway_keys'] {
  const used = keyInUse(keys, nowSec);
  const stateOf = (key: ManagedKey) => {
    if (key === used) return 'in use';
    if (key.notBeforeSec > nowSec) return 'next';
    return isActive(key, nowSec) ? 'replaced' : 'expired';
  };
  return keys.map((key) => ({
    kid: key.kid,
    algorithm,
    state: stateOf(key),
    from: timeOf(key.notBeforeSec * 1000),
    until: timeOrNull(key.expiresSec === undefined ? undefined : key.expiresSec * 1000),
  }));
}

function issuerOf(
  { config, keys }: TrustedIssuer,
  { states, tokenOutcomes, nowMs, startedAtMs }: ConsoleSources,
): IssuerView {
  const { issuer: name, provider, shownJwks } = config;
  const { ageMs, fetches, failures, held, ignored, nextInMs, failure } = keys.stats;
  const { verified, refused } = tokenOutcomes.of(name);
  const now = nowMs();
  return {
    issuer: name,
    name: config.name ?? null,
    provider: provider ?? null,
    source: shownJwks,
    state: sinceOf(states.of('keys', name), 'none', startedAtMs),
    keys: held.map(({ kid, alg }) => ({
      kid,
      algorithm: alg,
      since: timeOf(states.of('key', `${name} ${alg} ${kid}`)?.sinceMs ?? now),
    })),
    confirmed: ageMs === undefined ? null : timeOf(now - ageMs),
    next_fetch: timeOrNull(nextInMs === undefined ? undefined : now + nextInMs),
    fetches,
    failed_fetches: failures,
    failure: failure === undefined ? null : { reason: failure.reason, in_a_row: failure.failuresInARow },
    ignored: ignored.map(({ kid, reason }) => ({ kid: kid ?? null, reason })),
    verified,
    refused: countedOf(refused),
  };
}

function refusedTokens({ traffic: { refusals } }: ConsoleSources): z.output<typeof counted> {
  const isOfToken = (code: string) => /^(?:token_|dpop_|(?:role|tenant)_missing$)/.test(code);
  const lists = [...refusals.routes()].map(([, codes]) =>
    countedOf([...codes].filter(([code]) => isOfToken(code)).map(([code, { count }]) => [code, count])),
  );
  return lists.length === 0 ? [] : mergeCounted(lists);
}

const withTitles = (codes: z.output<typeof counted>): IssuerList['refused_requests'] =>
  codes.map(({ name: code, count: number }) => ({
    code,
    title: errorTable[code as keyof typeof errorTable]?.title ?? '',
    count: number,
  }));
