import { isDeepStrictEqual } from 'node:util';
import type { Limit } from '../config/config.ts';
import type { LimitStore } from './limit-store.ts';
import { createLimiter, type Limiter } from './limiter.ts';

/** The limiters of one configuration, by name. */
export type Limiters = ReadonlyMap<string, Readonly<{ limit: Limit; limiter: Limiter }>>;

/**
 * Creates the limiters of a configuration. Where a limit is the same as before it keeps its limiter, and so its counts.
 *
 * @param before Those of the configuration that is in force.
 */
export function createLimiters(
  store: LimitStore | undefined,
  before: Limiters | undefined,
): Readonly<{ limiters: Limiters; limiterFor(name: string, limit: Limit): Limiter }> {
  const limiters = new Map<string, Readonly<{ limit: Limit; limiter: Limiter }>>();
  return {
    limiters,
    limiterFor(name, limit) {
      const known = before?.get(name);
      const entry =
        known !== undefined && isDeepStrictEqual(known.limit, limit)
          ? known
          : { limit, limiter: createLimiter(name, limit, store) };
      limiters.set(name, entry);
      return entry.limiter;
    },
  };
}
