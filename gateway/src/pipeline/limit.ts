import { addressKey } from '@countersign/process-kit';
import type { Limit, Route } from '../config/config.ts';
import { AppError } from '../errors.ts';
import { type Limiter, type LimitResult, redisTimeoutMs } from '../limits/limiter.ts';
import type { TokenStatus } from '../tokens/verified-tokens.ts';
import type { Admitted, Permitted } from './exchange.ts';

type BucketKey = (request: Pick<Permitted, 'caller' | 'client'>) => string;

/**
 * Returns the bucket for a request, by what the limit counts. Spaces separate the parts of a key, and only the last
 * part can contain one, so keys never collide.
 *
 * The narrowest limit comes first, because a caller over its own limit must not use up a shared limit.
 */
export const bucketKeys: Readonly<Record<Limit['by'], BucketKey>> = {
  user: byToken(keyOfHolder),
  address: byAddress,
  client: byToken((token) => keyWithin('client', token, token.claims.clientId)),
  tenant: byToken((token) => keyWithin('tenant', token, token.claims.tenantId)),
  route: () => 'route',
};
const narrowestFirst = Object.keys(bucketKeys);

function byAddress({ client }: Parameters<BucketKey>[0]): string {
  return `address ${addressKey(client.address)}`;
}

/**
 * Anonymous callers are counted by address, and services that call on their own behalf by name. A nested call is
 * counted for the user or OAuth client that the service acts for.
 */
function byToken(keyOf: (token: TokenStatus) => string): BucketKey {
  const known = new WeakMap<TokenStatus, string>();
  return (request) => {
    const { caller } = request;
    if (caller.kind === 'anonymous') return byAddress(request);
    if (caller.kind === 'service')
      return caller.principal === undefined ? `service ${caller.serviceId}` : keyOf(caller.principal.token);
    let key = known.get(caller.token);
    if (key === undefined) {
      key = keyOf(caller.token);
      known.set(caller.token, key);
    }
    return key;
  };
}

/** Names the token's holder. An OAuth client never shares a bucket with a user, even if their ids are equal. */
function keyOfHolder({ claims: { userId, clientId }, issuer: { config } }: TokenStatus): string {
  return userId === undefined ? `client ${config.issuer} ${clientId}` : `user ${config.issuer} ${userId}`;
}

/** Callers without an OAuth client or tenant are counted individually. */
function keyWithin(kind: string, token: TokenStatus, id: string | undefined): string {
  return id === undefined ? keyOfHolder(token) : `${kind} ${token.issuer.config.issuer} ${id}`;
}

export type RouteLimits = ReturnType<typeof compileLimits>;

/** @param limiterFor Returns the limiter for one limit. The name is unique in the configuration. */
export function compileLimits(route: Route, limiterFor: (name: string, limit: Limit) => Limiter) {
  const numbered = route.limits.map((limit, index) => {
    const { by, requests, perSec } = limit;
    const before = route.limits.slice(0, index).filter((other) => other.by === by).length;
    // Policy names must be unique in their list, even for two limits by user.
    const policy = before === 0 ? by : `${by}-${before + 1}`;
    return {
      limiter: limiterFor(`${route.name} ${index} ${by} ${perSec}`, limit),
      keyOf: bucketKeys[by],
      /** The limit's name in response headers. */
      policy,
      /** The limit's name in the log. */
      rule: `limits: ${policy}`,
      place: narrowestFirst.indexOf(by),
      header: `"${policy}";q=${requests};w=${perSec}`,
    };
  });
  return {
    limits: numbered.toSorted((a, b) => a.place - b.place),
    policies: numbered.map(({ header }) => header).join(', '),
  };
}

/**
 * Takes one request from each of the route's buckets. Runs after authorize, so that refused callers use up nothing.
 * The rate limit headers go into the record, so that errors carry them too. They name every policy, and the bucket
 * with the fewest requests left.
 *
 * @param limitsOf The limits of each route that has any. The stage throws AppError `rate_limited` with `Retry-After`.
 *   It throws `limit_store_unavailable` if Redis is down and `onStoreFailure` is `deny`.
 * @see draft-ietf-httpapi-ratelimit-headers-11
 */
export function createLimit(
  limitsOf: ReadonlyMap<Route, RouteLimits>,
): (permitted: Permitted) => Admitted | Promise<Admitted> {
  return (permitted) => {
    const limits = limitsOf.get(permitted.route);
    if (limits === undefined) return permitted as Admitted;
    return takeFrom(limits, permitted, performance.now() + redisTimeoutMs, 0, undefined);
  };
}

type Tightest = Readonly<{ policy: string; result: LimitResult }>;

/** @returns A promise only if a limiter counts in Redis. `before` is the tightest result so far. */
function takeFrom(
  route: RouteLimits,
  permitted: Permitted,
  untilMs: number,
  index: number,
  before: Tightest | undefined,
): Admitted | Promise<Admitted> {
  let tightest = before;
  for (let at = index; at < route.limits.length; at += 1) {
    const { limiter, keyOf, policy, rule } = route.limits[at] as RouteLimits['limits'][number];
    permitted.record.rule = rule;
    const result = limiter.take(keyOf(permitted), untilMs);
    if (result instanceof Promise) {
      return result.then((later) => {
        const next = tighter(tightest, policy, later);
        return takeFrom(route, permitted, untilMs, later.allowed ? at + 1 : route.limits.length, next);
      });
    }
    tightest = tighter(tightest, policy, result);
    if (!result.allowed) break;
  }
  return tightest === undefined ? (permitted as Admitted) : toAdmitted(permitted, route.policies, tightest);
}

function tighter(before: Tightest | undefined, policy: string, result: LimitResult): Tightest {
  return before === undefined || isTighter(result, before.result) ? { policy, result } : before;
}

const isTighter = (result: LimitResult, than: LimitResult): boolean =>
  !result.allowed ||
  result.remaining < than.remaining ||
  (result.remaining === than.remaining && result.resetSec > than.resetSec);

function toAdmitted(permitted: Permitted, policies: string, { policy, result }: Tightest): Admitted {
  const { allowed, remaining, resetSec } = result;
  permitted.record.limits = ['ratelimit-policy', policies, 'ratelimit', `"${policy}";r=${remaining};t=${resetSec}`];
  if (!allowed) throw new AppError('rate_limited', { headers: { 'retry-after': String(resetSec) } });
  permitted.record.rule = undefined;
  return permitted as Admitted;
}
