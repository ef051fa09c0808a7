import type { Limit, Route } from '../config/config.ts';
import { AppError } from '../errors.ts';
import { addressKey } from '../limits/address-key.ts';
import { redisTimeoutMs } from '../limits/limit-store.ts';
import type { Limiter, LimitResult } from '../limits/limiter.ts';
import type { BucketKeys, TokenStatus } from '../tokens/verified-tokens.ts';
import type { Admitted, Permitted } from './exchange.ts';

/** `policy`: its name in the headers. `rule`: its name in the log. */
type RouteLimit = Readonly<{ limit: Limit; limiter: Limiter; policy: string; rule: string }>;
/** The limits of one route, with their limiters. */
export type RouteLimits = Readonly<{ limits: readonly RouteLimit[]; policies: string }>;

// A caller over its own limit must not use up a shared one, so shared limits come last.
const narrowestFirst = ['user', 'address', 'client', 'tenant', 'route'] as const;

/**
 * Takes one request from each bucket of the route. It runs after authorize, so that refused callers use up nothing. The
 * rate limit headers go into the record, so that errors carry them too: every policy, and the bucket that allows least.
 *
 * @param limitsOf The limits of each route that has any.
 * The stage throws AppError `rate_limited` with `Retry-After`. It throws `limit_store_unavailable` if Redis is down and
 * the limit says `deny`.
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

/**
 * Takes from the bucket of the limit at this index, and of those after it.
 *
 * @param before The result that allows least so far.
 * @returns A promise only if a limiter counts in Redis.
 */
function takeFrom(
  { limits, policies }: RouteLimits,
  permitted: Permitted,
  untilMs: number,
  index: number,
  before: Tightest | undefined,
): Admitted | Promise<Admitted> {
  let tightest = before;
  for (let at = index; at < limits.length; at += 1) {
    const { limit, limiter, policy, rule } = limits[at] as RouteLimit;
    permitted.record.rule = rule;
    const result = limiter.take(bucketKey(limit, permitted), untilMs);
    if (result instanceof Promise) {
      return result.then((later) => {
        const next = tighter(tightest, policy, later);
        if (!later.allowed) return admit(permitted, policies, next);
        return takeFrom({ limits, policies }, permitted, untilMs, at + 1, next);
      });
    }
    tightest = tighter(tightest, policy, result);
    if (!result.allowed) break;
  }
  return tightest === undefined ? (permitted as Admitted) : admit(permitted, policies, tightest);
}

function tighter(before: Tightest | undefined, policy: string, result: LimitResult): Tightest {
  return before === undefined || isTighter(result, before.result) ? { policy, result } : before;
}

function admit(permitted: Permitted, policies: string, { policy, result }: Tightest): Admitted {
  const { allowed, remaining, resetSec } = result;
  permitted.record.limits = ['ratelimit-policy', policies, 'ratelimit', `"${policy}";r=${remaining};t=${resetSec}`];
  if (!allowed) throw new AppError('rate_limited', { headers: { 'retry-after': String(resetSec) } });
  permitted.record.rule = undefined;
  return permitted as Admitted;
}

/** @param limiterFor Returns the limiter of one limit; the name is unique in the configuration. */
export function compileLimits(route: Route, limiterFor: (name: string, limit: Limit) => Limiter): RouteLimits {
  const numbered = route.limits.map((limit, index) => {
    const before = route.limits.slice(0, index).filter(({ by }) => by === limit.by).length;
    // Policy names must be unique in their list, also for two limits by user.
    const policy = before === 0 ? limit.by : `${limit.by}-${before + 1}`;
    const limiter = limiterFor(`${route.name} ${index} ${limit.by} ${limit.perSec}`, limit);
    return { limit, limiter, policy, rule: `limits: ${policy}` };
  });
  return {
    limits: numbered.toSorted((a, b) => narrowestFirst.indexOf(a.limit.by) - narrowestFirst.indexOf(b.limit.by)),
    policies: numbered.map(({ limit, policy }) => `"${policy}";q=${limit.requests};w=${limit.perSec}`).join(', '),
  };
}

const isTighter = (result: LimitResult, than: LimitResult): boolean =>
  !result.allowed ||
  result.remaining < than.remaining ||
  (result.remaining === than.remaining && result.resetSec > than.resetSec);

/**
 * The key of a bucket. Its parts are separated by spaces, and none but the last can contain one, so `a:b` and `a` with
 * `b` never collide. An anonymous caller counts by address, and a service that calls for itself by its name.
 */
export function bucketKey({ by }: Pick<Limit, 'by'>, { caller, client }: Pick<Permitted, 'caller' | 'client'>): string {
  if (by === 'route') return 'route';
  if (by === 'address' || caller.kind === 'anonymous') return `address ${addressKey(client.address)}`;
  if (caller.kind !== 'service') {
    caller.token.bucketKeys ??= bucketKeysOf(caller.token);
    return caller.token.bucketKeys[by];
  }
  // A nested call counts against the user or machine for which the service calls.
  return caller.principal === undefined ? `service ${caller.serviceId}` : bucketKeysOf(caller.principal.token)[by];
}

/**
 * The buckets of a token. A machine never shares a bucket with a user, also where its id is a user's. What lacks a client or a tenant
 * counts by itself.
 */
function bucketKeysOf({ claims, issuer: { config } }: TokenStatus): BucketKeys {
  const { issuer } = config;
  const { userId, clientId, tenantId } = claims;
  const client = clientId === undefined ? undefined : `client ${issuer} ${clientId}`;
  const user = userId === undefined ? `machine ${issuer} ${clientId}` : `user ${issuer} ${userId}`;
  return { user, client: client ?? user, tenant: tenantId === undefined ? user : `tenant ${issuer} ${tenantId}` };
}
