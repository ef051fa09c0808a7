import type { Answers, Counted, Issuer, Revocations } from '@countersign/console';
import type { Issuer as Config } from '../../config/config.ts';
import { type Code, errorTable } from '../../errors.ts';
import type { EventStream } from '../../events/event-stream.ts';
import { isActive, keyInUse } from '../../keys/key-directory.ts';
import type { ManagedKey } from '../../keys/key-files.ts';
import type { IntrospectionEndpoint, TrustedIssuer } from '../../tokens/verified-tokens.ts';
import { timeOf, timeOrNull } from '../describe.ts';
import { type ConsoleSources, countedOf, stateOf } from '../sources.ts';

const titleOf = (code: string): string => errorTable[code as Code]?.title ?? '';

type GatewayKeys = Answers['/api/issuers']['gateway_keys'];

export function readIssuers(sources: ConsoleSources): Answers['/api/issuers'] {
  const { trust, tokens, gatewayKeys } = sources.current();
  const { size, hits, misses, refusedFromMemory } = tokens.stats;
  const nowSec = sources.nowMs() / 1000;
  return {
    issuers: [...trust.issuers.values()].map((one) => issuerOf(one, sources)),
    gateway_keys: [
      ...describeKeys('Ed25519', gatewayKeys.keys, nowSec),
      ...describeKeys('X25519', gatewayKeys.agreementKeys, nowSec),
      ...describeKeys('ES256', gatewayKeys.tokenKeys, nowSec),
    ],
    unknown: countedOf(sources.tokenOutcomes.of(undefined).refused),
    refused_requests: refusedTokens(sources).map(({ name: code, count }) => ({ code, title: titleOf(code), count })),
    cache: { size, hits, misses, refused_from_memory: refusedFromMemory },
  };
}

/** @param keys Sorted from oldest to newest. The newest usable key is in use. */
function describeKeys(algorithm: string, keys: readonly ManagedKey[], nowSec: number): GatewayKeys {
  const used = keyInUse(keys, nowSec);
  const stateOfKey = (key: ManagedKey) => {
    if (key === used) return 'in use';
    if (key.notBeforeSec > nowSec) return 'next';
    return isActive(key, nowSec) ? 'replaced' : 'expired';
  };
  return keys.map((key) => ({
    kid: key.kid,
    algorithm,
    state: stateOfKey(key),
    from: timeOf(key.notBeforeSec * 1000),
    until: timeOrNull(key.expiresSec === undefined ? undefined : key.expiresSec * 1000),
  }));
}

function issuerOf({ config, keys, events, introspection }: TrustedIssuer, sources: ConsoleSources): Issuer {
  const { issuer, provider = null, name = null, shownJwks } = config;
  const { ageMs, fetches, failures, held, ignored, nextInMs, failure } = keys.stats;
  const { verified, refused } = sources.tokenOutcomes.of(issuer);
  const now = sources.nowMs();
  return {
    issuer,
    name,
    provider,
    source: shownJwks,
    state: stateOf(sources, 'keys', issuer, 'none'),
    keys: held.map(({ kid, alg }) => ({
      kid,
      algorithm: alg,
      since: sources.states.of('key', `${issuer} ${alg} ${kid}`)?.since ?? timeOf(now),
    })),
    confirmed: ageMs === undefined ? null : timeOf(now - ageMs),
    next_fetch: nextInMs === undefined ? null : timeOf(now + nextInMs),
    fetches,
    failed_fetches: failures,
    failure: failure === undefined ? null : { reason: failure.reason, in_a_row: failure.failuresInARow },
    ignored: ignored.map(({ kid, reason }) => ({ kid: kid ?? null, reason })),
    verified,
    refused: countedOf(refused),
    events: config.events && events ? describeEvents(config.events, events) : null,
    introspection:
      config.introspection && introspection ? describeIntrospection(config.introspection, introspection, now) : null,
  };
}

function describeIntrospection(
  { shownUrl }: NonNullable<Config['introspection']>,
  { stats, last, breakerState }: IntrospectionEndpoint,
  nowMs: number,
) {
  const lastAtMs = last && nowMs - (performance.now() - last.monotonicMs);
  return {
    url: shownUrl,
    breaker: breakerState(),
    last: timeOrNull(lastAtMs),
    ...stats,
    failure: last?.failure ?? null,
  };
}

function describeEvents(events: NonNullable<Config['events']>, stream: EventStream) {
  const { backchannelLogout, sharedSignals, webhook, revoke } = events;
  const { lastEvent: last, counts, late, sinceMs, revocations } = stream;
  return {
    backchannel_logout: backchannelLogout,
    transmitter: sharedSignals?.transmitter ?? null,
    webhook: webhook?.format.name ?? null,
    revoke,
    since: timeOrNull(sinceMs),
    staleness_ms: revocations.stalenessMs() ?? null,
    last: last ? { source: last.source, event: last.event, at: timeOf(last.atMs), lag_ms: last.lagMs } : null,
    counts: countedOf(counts),
    late,
  };
}

function refusedTokens({ traffic: { refusals } }: ConsoleSources): Counted {
  const counts = new Map<string, number>();
  for (const [code, { count }] of [...refusals.routes()].flatMap(([, codes]) => [...codes])) {
    if (/^(?:token_|dpop_|(?:role|tenant)_missing$)/.test(code)) counts.set(code, (counts.get(code) ?? 0) + count);
  }
  return countedOf(counts);
}

export function readRevocations(sources: ConsoleSources): Answers['/api/revocations'] {
  const issuers = [...sources.current().trust.issuers.values()];
  return {
    issuers: issuers.flatMap((issuer) => followedOf(issuer, sources)),
    without: issuers.filter(({ revocations }) => revocations === undefined).map(({ config }) => config.issuer),
  };
}

function followedOf({ config, revocations, events }: TrustedIssuer, sources: ConsoleSources): Revocations[] {
  const { issuer, name } = config;
  const feed = config.revocations ?? config.events;
  if (revocations === undefined || feed === undefined) return [];
  const stats = sources.current().trust.followed.get(issuer)?.stats ?? events?.stats;
  return [
    {
      issuer,
      source: 'shownUrl' in feed ? feed.shownUrl : `events of ${name}`,
      state: stateOf(sources, 'revocations', issuer, 'not read'),
      held: revocations.size,
      staleness_ms: revocations.stalenessMs() ?? null,
      max_staleness_ms: feed.maxStalenessMs,
      on_stale: feed.onStale,
      refused_before: timeOrNull(revocations.refusedBeforeMs(sources.nowMs())),
      lag: sources.lags.get(issuer) ?? null,
      answers: stats?.answers ?? 0,
      failures: stats?.failures ?? 0,
      snapshots: stats?.snapshots ?? 0,
      unknown_items: stats?.unknownItems ?? 0,
    },
  ];
}
