import type { CallService, UserIdentity } from '@countersign/identity';
import type { Logger } from '@countersign/process-kit';
import { LRUCache } from 'lru-cache';
import { z } from 'zod';
import type { PeopleDirectory } from '../domain/people.ts';

const answer = z.object({ names: z.record(z.string(), z.string()) });
const problem = z.object({ code: z.string() });
/** Error codes that concern only this caller. */
const refusalsOfCaller = ['token_revoked', 'txn_token_expired'];

/** How long a name is cached, and so how long a changed name can take to appear. */
const keptMs = 60_000;
const maxKept = 20_000;
/** A list has up to 100 complaints with three people each. The users-service accepts as many ids in one call. */
export const maxBatch = 300;
/** A slow users-service must not slow down every list. */
const timeoutMs = 500;
/** How long to omit names without another request after a failure. */
const pauseMs = 5_000;

type Parts = Readonly<{ logger: Logger; nowMs?: () => number }>;

/**
 * Reads display names from the users-service, with one request for all that are not cached. Also caches that a person
 * has no name. The cache is per tenant, because the same id may be a different person in another tenant.
 */
export function createNames(callService: CallService, { logger, nowMs = Date.now }: Parts): PeopleDirectory['namesOf'] {
  const cache = new LRUCache<string, { name: string | null }>({
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
      for (const id of ids) cache.set(keyOf(caller, id), { name: names.get(id) ?? null });
    } catch (error) {
      pausedUntilMs = nowMs() + pauseMs;
      logger.warn({ err: error }, 'display names are unavailable and will be omitted');
    }
  }

  return async (caller, userIds) => {
    const ids = [...new Set(userIds)].slice(0, maxBatch);
    const keyed = ids.map((id) => [id, keyOf(caller, id)] as const);
    await fetchNames(
      caller,
      keyed.filter(([, key]) => !cache.has(key)).map(([id]) => id),
    );
    const names = new Map<string, string | null>();
    for (const [id, key] of keyed) {
      const kept = cache.get(key);
      if (kept !== undefined) names.set(id, kept.name);
    }
    return names;
  };
}

/**
 * Has the caller's role, because staff get addresses as names. Joining the ids would be ambiguous, because ids may
 * contain any separator.
 */
const keyOf = ({ tenantId, role }: UserIdentity, userId: string) => JSON.stringify([tenantId, role, userId]);

/**
 * @returns Undefined if the error concerns only this caller, for example after a logout. The users-service may still
 *   work for others.
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
  // A map, because an object would already have a member for the id `constructor`.
  return new Map(Object.entries(answer.parse(await response.json()).names));
}
