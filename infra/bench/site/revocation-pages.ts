const pageSize = 5_000;

export type FeedTimes = Readonly<{ notBefore: string; expiresAt: string }>;

/**
 * One page of a feed with this many revoked sessions, in groups (docs/operations/revocations.md). None of them belongs
 * to a token of the benchmark.
 */
export function revocationPage(count: number, after: number, times: FeedTimes) {
  const cursor = Math.min(count, after + pageSize);
  const ids = Array.from({ length: cursor - after }, (_, index) => revokedSession(after + index));
  return {
    log: `log-${count}`,
    cursor,
    complete: cursor === count,
    groups:
      ids.length === 0 ? [] : [{ kind: 'session', ids, not_before: times.notBefore, expires_at: times.expiresAt }],
  };
}

/** As long as a UUID. */
const revokedSession = (index: number): string => `01890a5d-0000-7000-8000-${index.toString(16).padStart(12, '0')}`;
