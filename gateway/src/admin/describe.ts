import type { GatewayConfig, Route } from '../config/config.ts';
import { servedMethods } from '../config/path-pattern.ts';
import { tokenText } from '../explain/route-text.ts';
import type { ReloadState } from '../reload/reload.ts';
import type { TrustedIssuer } from '../tokens/verified-tokens.ts';
import type { OpenUpstream } from '../upstreams/pool/open-upstream.ts';
import type { Target } from '../upstreams/pool/target.ts';

// The JSON of the admin listener. It contains no secrets.

export function describeConfig({ file, hash, redacted }: GatewayConfig, { loadedAtMs, refused }: ReloadState) {
  return {
    file,
    hash,
    loaded_at: timeOf(loadedAtMs),
    /** The file on disk, if it was refused and an older configuration is in force. */
    refused: refused ? { at: timeOf(refused.atMs), hash: refused.hash ?? null, problems: refused.problems } : null,
    config: JSON.parse(redacted),
  };
}

/** An issuer in `GET /upstreams`. */
export function describeIssuer({ config, revocations }: TrustedIssuer, nowMs: number) {
  return {
    issuer: config.issuer,
    revocations: revocations
      ? {
          ready: revocations.ready,
          held: revocations.size,
          staleness_ms: revocations.stalenessMs() ?? null,
          /** Tokens issued before this time are refused, because memory cannot hold all revocations. */
          refused_before: timeOrNull(revocations.refusedBeforeMs(nowMs)),
        }
      : null,
  };
}

/** RFC 3339, UTC. */
export const timeOf = (ms: number): string => new Date(ms).toISOString();
export const timeOrNull = (ms: number | undefined): string | null => (ms === undefined ? null : timeOf(ms));

/** A route in `GET /routes`, with defaults applied, under the file's key names. */
export function describeRoute(route: Route) {
  return {
    name: route.name,
    listener: route.auth === 'service' ? ('internal' as const) : ('public' as const),
    path: route.path,
    methods: servedMethods(route.methods),
    upstream: route.upstream.name,
    auth: route.auth,
    senderConstrained: route.senderConstrained ? 'required' : null,
    allow: route.allow,
    callers: [...route.callers],
    limits: route.limits.map(({ perSec, ...limit }) => ({ ...limit, per: `${perSec}s` })),
    body: route.body,
    longLived: route.longLived ?? null,
    websocket: route.websocket,
    rewrite: route.rewrite ?? null,
    forward: { ...route.forward, cookies: [...route.forward.cookies], guarded: undefined },
  };
}

/** An upstream in `GET /upstreams`. `gatewayKid` names the X25519 key that is used now. */
export function describeUpstream(opened: OpenUpstream, gatewayKid: string | undefined) {
  const { upstream, targets, breaker, tls, stats, nowMs } = opened;
  const now = nowMs();
  return {
    name: upstream.name,
    balance: upstream.balance,
    pending: targets.reduce((sum, { pending }) => sum + pending, 0),
    breaker: breaker
      ? {
          state: breaker.state(now),
          ...breaker.counts(now),
          retry_after_ms: Math.round(breaker.retryAfterMs(now)),
          opened: breaker.opened,
          refused: stats.circuitRefusals,
        }
      : null,
    retries: { made: stats.retries, over_budget: stats.retriesRefused },
    identity: { headers: upstream.identity.headers, ...describeIdentity(opened, gatewayKid) },
    identity_token: describeToken(opened),
    tls: tls === undefined ? null : { trouble: tls.failure() ?? null },
    targets: targets.map((target) => describeTarget(target, now)),
  };
}

function describeIdentity({ upstream, agreement, nowMs }: OpenUpstream, gatewayKid: string | undefined) {
  const { algorithm } = upstream.identity;
  if (agreement === undefined) return { algorithm, uses: algorithm };
  const key = agreement.serviceKey();
  const fallback = typeof key === 'string' ? key : gatewayKid === undefined ? 'no_gateway_key' : null;
  return {
    algorithm,
    uses: fallback === null ? 'agreed' : 'ed25519',
    keyid: typeof key === 'string' || gatewayKid === undefined ? null : `${gatewayKid}.${key.kid}`,
    fallback,
    published: agreement.targets.map(({ origin, keys, confirmedAtMs, failure }) => {
      const kids = keys?.map(({ kid }) => kid);
      return {
        target: origin,
        /** Null until the first fetch. */
        kids: kids ?? null,
        confirmed_ms_ago: kids === undefined ? null : Math.round(nowMs() - confirmedAtMs),
        failure: failure ?? null,
      };
    }),
  };
}

function describeToken({ upstream, signatures: { tokens } }: OpenUpstream) {
  const summary = tokenText(upstream);
  if (upstream.identity.token === undefined || summary === undefined) return null;
  const { header, callers, bind, lifetimeSec } = upstream.identity.token;
  const { claimsLeftOut, ...issued } = tokens;
  const settings = { summary, header, callers: [...callers], bind, lifetime_sec: lifetimeSec };
  return { ...settings, ...issued, claims_left_out: claimsLeftOut };
}

/** True if the last request succeeded, the checks do not fail, and the target is neither full nor ejected. */
export const isHealthy = (target: Target, nowMs: number): boolean =>
  target.failing === undefined && target.isAvailable(nowMs);

function describeTarget(target: Target, nowMs: number) {
  const { health, lastError } = target;
  return {
    origin: target.origin,
    healthy: isHealthy(target, nowMs),
    checks: health.checks,
    ejected_for_ms: Math.round(health.ejectedForMs(nowMs)),
    ejections: health.ejections,
    pending: target.pending,
    ...describeOutcomes(target),
    last_error: lastError === undefined ? null : { code: lastError.code, at: timeOf(lastError.atMs) },
  };
}

/** The failed requests since the last success, and when that was. Null if the last request did not fail. */
export const describeOutcomes = ({ failing, lastSuccessMs }: Target) => ({
  failing: failing
    ? { since: timeOf(failing.sinceMs), last: timeOf(failing.lastMs), code: failing.code, requests: failing.count }
    : null,
  last_success: timeOrNull(lastSuccessMs),
});
