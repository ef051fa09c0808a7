import type { Limit, Route } from '../config/config.ts';
import { AppError } from '../errors.ts';
import type { Admitted, Permitted } from '../exchange.ts';
import { addressKey } from '../limits/address-key.ts';
import { answerWithinMs } from '../limits/limit-store.ts';
import type { Limiter, Taken } from '../limits/limiter.ts';
import type { TokenStatus } from '../tokens/verified-token.ts';

type RouteLimit = Readonly<{ limit: Limit; limiter: Limiter; policy: string }>;
/** The limits of one route, with what counts each. */
export type RouteLimits = Readonly<{ limits: readonly RouteLimit[]; policies: string }>;

// One caller over a limit of its own must not use up what it shares with others, so those are asked last.
const narrowestFirst = ['user', 'address', 'tenant', 'route'] as const;

/**
 * Takes one request from each of the route's buckets. After authorize, so that a refused caller uses up nobody's share.
 * What is left is noted for the answer, whoever gives it: every policy, and the bucket with the least in it.
 *
 * @param limitsOf Of every route that has limits.
 * The stage throws AppError `rate_limited` with `Retry-After`, and `limit_store_unavailable` where a limit says so.
 * @see draft-ietf-httpapi-ratelimit-headers-11
 */
export function createLimit(
  limitsOf: ReadonlyMap<Route, RouteLimits>,
): (permitted: Permitted) => Admitted | Promise<Admitted> {
  async function takeAll(permitted: Permitted, { limits, policies }: RouteLimits): Promise<Admitted> {
    const untilMs = performance.now() + answerWithinMs;
    let tightest: Taken | undefined;
    let policy = '';
    for (const { limit, limiter, policy: name } of limits) {
      permitted.record.rule = `limits: ${name}`;
      const taken = await limiter.take(bucketKey(limit, permitted), untilMs);
      if (tightest === undefined || isTighter(taken, tightest)) {
        tightest = taken;
        policy = name;
      }
      if (!taken.allowed) break;
    }
    if (tightest === undefined) return permitted as Admitted;
    const { allowed, remaining, resetSec } = tightest;
    permitted.record.limits = ['ratelimit-policy', policies, 'ratelimit', `"${policy}";r=${remaining};t=${resetSec}`];
    if (!allowed) {
      throw new AppError('rate_limited', { headers: { 'retry-after': String(resetSec) } });
    }
    return permitted as Admitted;
  }

  return (permitted) => {
    const limits = limitsOf.get(permitted.route);
    return limits === undefined ? (permitted as Admitted) : takeAll(permitted, limits);
  };
}

/** @param limiterFor The limiter that holds the buckets of one limit; its name is unique in the configuration. */
export function limitsOn(route: Route, limiterFor: (name: string, limit: Limit) => Limiter): RouteLimits {
  const numbered = route.limits.map((limit, index) => {
    const before = route.limits.slice(0, index).filter(({ by }) => by === limit.by).length;
    return {
      limit,
      limiter: limiterFor(`${route.name} ${index} ${limit.by} ${limit.perSec}`, limit),
      // Two limits by user are two policies, and a policy's name is unique in its list.
      policy: before === 0 ? limit.by : `${limit.by}-${before + 1}`,
    };
  });
  return {
    limits: numbered.toSorted((a, b) => narrowestFirst.indexOf(a.limit.by) - narrowestFirst.indexOf(b.limit.by)),
    policies: numbered.map(({ limit, policy }) => `"${policy}";q=${limit.requests};w=${limit.perSec}`).join(', '),
  };
}

const isTighter = (taken: Taken, than: Taken): boolean =>
  !taken.allowed ||
  taken.remaining < than.remaining ||
  (taken.remaining === than.remaining && taken.resetSec > than.resetSec);

/**
 * Whose bucket. Spaces part its pieces, since no identifier has one: `a:b` and `a` with `b` never share a bucket. A caller
 * without identity is counted by address, a service that acts for nobody by its name.
 */
export function bucketKey({ by }: Pick<Limit, 'by'>, { caller, client }: Pick<Permitted, 'caller' | 'client'>): string {
  if (by === 'route') return 'route';
  if (by === 'address' || caller.kind === 'anonymous') return `address ${addressKey(client.address)}`;
  if (caller.kind === 'user') return personKey(by, caller);
  return caller.user === undefined ? `service ${caller.serviceId}` : personKey(by, caller.user);
}

/** Also of whom a service acts for: what it does for one user uses up that user's share. */
function personKey(
  by: 'user' | 'tenant',
  person: Readonly<{ userId: string; tenantId: string; token: TokenStatus }>,
): string {
  const { issuer } = person.token.issuer.config;
  return by === 'tenant' ? `tenant ${issuer} ${person.tenantId}` : `user ${issuer} ${person.userId}`;
}
