import { LRUCache } from 'lru-cache';
import type { RequestRecord } from '../pipeline/request-record.ts';

export type LimitedCaller = Readonly<{
  route: string;
  /** Its name in the `ratelimit-policy` header. `refused tokens` means too many invalid tokens. */
  limit: string;
  userId: string | undefined;
  tenantId: string | undefined;
  address: string | undefined;
  sinceMs: number;
  lastMs: number;
  untilMs: number;
  refused: number;
}>;

export type RefusalCount = {
  readonly fault: string;
  count: number;
  /** How many of them got a 5xx response. A response that broke off had the service's status. */
  serverErrors: number;
  lastMs: number;
};

const maxLimitedCallers = 1_000;

export const noRouteName = 'none';

/** By route and code, and the callers that limits refused. Successful requests pay nothing for this. */
export class RefusalCounts {
  readonly #byRoute = new Map<string, Map<string, RefusalCount>>();
  readonly #limited = new LRUCache<string, LimitedCaller>({ max: maxLimitedCallers });

  count(record: RequestRecord, code: string, status: number, nowMs: number): void {
    const { route = noRouteName, fault = 'ours' } = record;
    const codes = this.#byRoute.get(route) ?? new Map<string, RefusalCount>();
    this.#byRoute.set(route, codes);
    const counted = codes.get(code) ?? { fault, count: 0, serverErrors: 0, lastMs: nowMs };
    codes.set(code, counted);
    counted.count += 1;
    if (status >= 500) counted.serverErrors += 1;
    counted.lastMs = nowMs;
    if (code === 'rate_limited') this.#limit(record, route, nowMs);
  }

  ofRoute(route: string): ReadonlyMap<string, Readonly<RefusalCount>> {
    return this.#byRoute.get(route) ?? new Map();
  }

  routes(): Iterable<readonly [route: string, codes: ReadonlyMap<string, Readonly<RefusalCount>>]> {
    return this.#byRoute;
  }

  /** Returns the limited callers, least recently refused first. */
  limited(): readonly LimitedCaller[] {
    return [...this.#limited.rvalues()].filter((caller) => caller !== undefined);
  }

  #limit(record: RequestRecord, route: string, nowMs: number): void {
    const { address } = record;
    const { userId, tenantId } = record.claims ?? {};
    const [, limit = 'refused tokens'] = /^limits: (.*)$/.exec(record.rule ?? '') ?? [];
    const key = `${route} ${limit} ${keyOf(limit, record)}`;
    const known = this.#limited.get(key);
    // A caller whose window has ended starts over, so this refusal is the first in its window.
    const isStill = known !== undefined && nowMs <= known.untilMs;
    this.#limited.set(key, {
      ...{ route, limit, userId, tenantId, address },
      sinceMs: isStill ? known.sinceMs : nowMs,
      lastMs: nowMs,
      untilMs: nowMs + resetSec(record) * 1000,
      refused: (isStill ? known.refused : 0) + 1,
    });
  }
}

/** Returns what a limit's bucket counts by. An anonymous caller is counted by address. */
function keyOf(limit: string, { claims, address }: RequestRecord): string {
  const { userId, tenantId } = claims ?? {};
  if (limit.startsWith('route')) return '';
  if (limit.startsWith('tenant') && tenantId !== undefined) return tenantId;
  if (limit.startsWith('user') && userId !== undefined) return `${tenantId} ${userId}`;
  return address ?? '';
}

/** Reads the `ratelimit` header of the refusal, such as `"user";r=0;t=42`. */
function resetSec({ limits }: RequestRecord): number {
  const [, seconds = '60'] = /;t=(\d+)$/.exec(limits?.[3] ?? '') ?? [];
  return Number(seconds);
}
