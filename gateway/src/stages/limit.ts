import type { Limit, Route } from '../config/config.ts';
import { AppError } from '../errors.ts';
import type { Admitted, Permitted } from '../exchange.ts';
import { addressKey } from '../limits/address-key.ts';
import type { Limiter, Taken } from '../limits/limiter.ts';
import type { Standing } from '../tokens/verified-token.ts';

type RouteLimit = Readonly<{ limit: Limit; limiter: Limiter }>;

/**
 * Takes one request from each of the route's buckets. After authorize, so that a refused caller uses up nobody's share.
 *
 * @param limiterFor The limiter that holds the buckets of one limit; its name is unique in the configuration.
 * The stage throws AppError `rate_limited` with `Retry-After` and the RateLimit headers of the bucket that is empty.
 */
export function createLimit(
  routes: readonly Route[],
  limiterFor: (name: string, limit: Limit) => Limiter,
): (permitted: Permitted) => Admitted | Promise<Admitted> {
  const limitsOf = new Map<Route, readonly RouteLimit[]>();
  for (const route of routes) {
    if (route.limits.length === 0) continue;
    limitsOf.set(
      route,
      route.limits.map((limit, index) => ({
        limit,
        limiter: limiterFor(`${route.name} ${index} ${limit.by}`, limit),
      })),
    );
  }

  async function takeAll(permitted: Permitted, limits: readonly RouteLimit[]): Promise<Admitted> {
    for (const { limit, limiter } of limits) {
      const taken = await limiter.take(bucketKey(limit, permitted));
      if (!taken.allowed) throw refused(limit, taken);
    }
    return permitted as Admitted;
  }

  return (permitted) => {
    const limits = limitsOf.get(permitted.route);
    return limits === undefined ? (permitted as Admitted) : takeAll(permitted, limits);
  };
}

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
  person: Readonly<{ userId: string; tenantId: string; token: Standing }>,
): string {
  const { issuer } = person.token.issuer.config;
  return by === 'tenant' ? `tenant ${issuer} ${person.tenantId}` : `user ${issuer} ${person.userId}`;
}

/** @see draft-ietf-httpapi-ratelimit-headers-10 */
function refused(limit: Limit, taken: Taken): AppError {
  return new AppError('rate_limited', {
    headers: {
      'retry-after': String(taken.resetSec),
      'ratelimit-policy': `"${limit.by}";q=${limit.requests};w=${limit.perSec}`,
      ratelimit: `"${limit.by}";r=${taken.remaining};t=${taken.resetSec}`,
    },
    detail: { limit: limit.by },
  });
}
