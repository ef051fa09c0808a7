import type { Fault } from '@countersign/service-kit';
import { LRUCache } from 'lru-cache';
import type { RequestRecord } from '../pipeline/request-record.ts';

/** A caller that a limit refused. */
export type LimitedCaller = {
  readonly route: string;
  /** The limit's name in the `ratelimit-policy` header, such as `user`; `refused tokens` for too many invalid tokens. */
  readonly limit: string;
  readonly userId: string | undefined;
  readonly tenantId: string | undefined;
  readonly address: string | undefined;
  readonly sinceMs: number;
  /** When the last of its requests was refused. */
  lastMs: number;
  /** When its window ends. */
  untilMs: number;
  refused: number;
};

/** How many requests were refused with one code since the process started, and when the last of them was. */
export type RefusalCount = { count: number; lastMs: number };

const maxLimitedCallers = 1_000;

/** The route of requests that match none. */
export const noRouteName = 'none';

/** Counts refused requests by route and code, and remembers whom the limits refuse. Served requests cost nothing here. */
export class RefusalCounts {
  readonly #byRoute = new Map<string, Map<string, RefusalCount>>();
  readonly #byFault = new Map<string, Map<string, number>>();
  readonly #limited = new LRUCache<string, LimitedCaller>({ max: maxLimitedCallers });

  count(record: RequestRecord, status: number, nowMs: number): void {
    const { code, fault = 'ours' satisfies Fault } = record;
    if (code === undefined) return;
    const route = record.route ?? noRouteName;
    const codes = mapIn(this.#byRoute, route);
    const counted = codes.get(code);
    if (counted === undefined) codes.set(code, { count: 1, lastMs: nowMs });
    else {
      counted.count += 1;
      counted.lastMs = nowMs;
    }
    const faults = mapIn(this.#byFault, route);
    increment(faults, fault);
    if (status >= 500) increment(faults, 'status 5xx');
    if (code === 'rate_limited') this.#limit(record, route, nowMs);
  }

  /** By code, since the process started. */
  ofRoute(route: string): ReadonlyMap<string, Readonly<RefusalCount>> {
    return this.#byRoute.get(route) ?? new Map();
  }

  /** Each route with its refusals by fault. `status 5xx` counts those of them that were answered with 5xx. */
  byFault(): Iterable<readonly [route: string, faults: ReadonlyMap<string, number>]> {
    return this.#byFault;
  }

  routes(): Iterable<readonly [route: string, codes: ReadonlyMap<string, Readonly<RefusalCount>>]> {
    return this.#byRoute;
  }

  /** Least recently refused first. */
  limited(): readonly LimitedCaller[] {
    return [...this.#limited.rvalues()].filter((caller) => caller !== undefined);
  }

  #limit(record: RequestRecord, route: string, nowMs: number): void {
    const { userId, tenantId, address } = record;
    const [, limit = 'refused tokens'] = /^limits: (.*)$/.exec(record.rule ?? '') ?? [];
    const who = keyOf(limit, record);
    const key = `${route} ${limit} ${who}`;
    const known = this.#limited.get(key);
    const untilMs = nowMs + resetSec(record) * 1000;
    // A caller that waited for its next window is at its limit since then only.
    const isStill = known !== undefined && nowMs <= known.untilMs;
    this.#limited.set(key, {
      ...{ route, limit, userId, tenantId, address },
      sinceMs: isStill ? known.sinceMs : nowMs,
      lastMs: nowMs,
      untilMs,
      refused: (isStill ? known.refused : 0) + 1,
    });
  }
}

/** What the bucket of a limit stands for. An anonymous caller counts by address. */
function keyOf(limit: string, { userId, tenantId, address }: RequestRecord): string {
  if (limit.startsWith('route')) return '';
  if (limit.startsWith('tenant') && tenantId !== undefined) return tenantId;
  if (limit.startsWith('user') && userId !== undefined) return `${tenantId} ${userId}`;
  return address ?? '';
}

/** From the `ratelimit` header of the refusal, such as `"user";r=0;t=42`. */
function resetSec({ limits }: RequestRecord): number {
  const [, seconds = '60'] = /;t=(\d+)$/.exec(limits?.[3] ?? '') ?? [];
  return Number(seconds);
}

function mapIn<Value>(maps: Map<string, Map<string, Value>>, key: string): Map<string, Value> {
  let map = maps.get(key);
  if (map === undefined) {
    map = new Map();
    maps.set(key, map);
  }
  return map;
}

function increment(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
