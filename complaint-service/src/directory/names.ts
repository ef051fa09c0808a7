import type { CallService, UserIdentity } from '@countersign/identity';
import type { Logger } from '@countersign/service-kit';
import { LRUCache } from 'lru-cache';
import { z } from 'zod';
import type { PeopleDirectory } from '../domain/people.ts';

const answer = z.object({ names: z.record(z.string(), z.string()) });
const problem = z.object({ code: z.string() });
/** Codes with which the gateway refuses only this caller. */
const refusalsOfCaller = ['token_revoked', 'txn_token_expired'];

/** How long a name is cached. A changed name appears within this time. */
const keptMs = 60_000;
const maxKept = 20_000;
/** A list has up to 100 complaints with three people each. The users-service accepts as many ids in one call. */
const maxBatch = 300;
/** A slow users-service must not slow down every list. */
const timeoutMs = 500;
/** After a failure, names are omitted for this long without another call. */
const pauseMs = 5_000;

type Parts = Readonly<{ logger: Logger; nowMs?: () => number }>;

/**
 * Reads display names from the users-service, in one call for all that are not cached. The cache is per tenant, because
 * the same id is another person in another tenant. It also remembers people without a name.
 */
export function createNames(callService: CallService, { logger, nowMs = Date.now }: Parts): PeopleDirectory['namesOf'] {
  const cache = new LRUCache<string, { name: string | undefined }>({
    max: maxKept,
    ttl: keptMs,
    ttlResolution: 0,
    perf: { now: nowMs },
  });
  let pausedUntilMs = 0;

  async function fetchNames(caller: UserIdentity, ids: readonly string[]): Promise<void> {
    if (ids.length === 0 || caller.txnToken === undefined || nowMs() < pausedUntilMs) return;
    try {
      const names = await ask(callService, caller.txnToken, ids);
      if (names === undefined) return;
      for (const id of ids) cache.set(keyOf(caller.tenantId, id), { name: names.get(id) });
    } catch (error) {
      pausedUntilMs = nowMs() + pauseMs;
      logger.warn({ err: error }, 'display names are unavailable, and omitted');
    }
  }

  return async (caller, userIds) => {
    const ids = [...new Set(userIds)].slice(0, maxBatch);
    const keyed = ids.map((id) => [id, keyOf(caller.tenantId, id)] as const);
    await fetchNames(
      caller,
      keyed.filter(([, key]) => !cache.has(key)).map(([id]) => id),
    );
    const names = new Map<string, string>();
    for (const [id, key] of keyed) {
      const name = cache.get(key)?.name;
      if (name !== undefined) names.set(id, name);
    }
    return names;
  };
}

/** Ids may contain any separator, so joined ids of two tenants could be equal. */
const keyOf = (tenantId: string, userId: string) => JSON.stringify([tenantId, userId]);

/**
 * @returns Undefined if only this caller is refused, as after a logout. The users-service may still work for others.
 */
async function ask(
  callService: CallService,
  txnToken: string,
  ids: readonly string[],
): Promise<ReadonlyMap<string, string> | undefined> {
  const response = await callService({
    method: 'POST',
    path: '/internal/users/names',
    txnToken,
    json: { ids },
    signal: AbortSignal.timeout(timeoutMs),
  });
  if (!response.ok) {
    const { code } = problem.parse(await response.json());
    if (refusalsOfCaller.includes(code)) return undefined;
    throw new Error(`the users-service answered ${response.status} ${code}`);
  }
  // A map, because a person's id may be `constructor`.
  return new Map(Object.entries(answer.parse(await response.json()).names));
}
