import type { EndReason } from './session-rules.ts';

/** The session row, read under a lock. Times are on the database's clock. */
export type FamilyState = Readonly<{
  counter: number;
  revoked: boolean;
  /** Whether the idle or absolute timeout has passed. */
  expired: boolean;
  /** Whether the user, membership and tenant are all active. */
  holderActive: boolean;
  /** Whether the last rotation was within the last 30 s. */
  withinGrace: boolean;
}>;

/** A refresh token with a valid MAC. */
export type Presented = Readonly<{
  counter: number;
  hashMatches: boolean;
  /** The successor token, if the random part decrypts it. */
  successor: string | undefined;
}>;

export type RefreshDecision =
  | Readonly<{ kind: 'rotate' }>
  | Readonly<{ kind: 'repeat'; successor: string }>
  | Readonly<{ kind: 'refuse'; code: 'session_revoked' | 'session_expired' }>
  | Readonly<{
      kind: 'end';
      reason: Extract<EndReason, 'reuse' | 'ahead' | 'inactive'>;
      code: 'session_revoked' | 'refresh_token_reused' | 'invalid_refresh_token';
    }>;

/** The state table of `refresh`. The order of its rows matters. */
export function decideRefresh(family: FamilyState, presented: Presented): RefreshDecision {
  // Must be first, so that the grace period never revives an ended session (supabase discussion 52614).
  if (family.revoked) return { kind: 'refuse', code: 'session_revoked' };
  if (family.expired) return { kind: 'refuse', code: 'session_expired' };
  if (!family.holderActive) return { kind: 'end', reason: 'inactive', code: 'session_revoked' };
  if (presented.counter > family.counter) return { kind: 'end', reason: 'ahead', code: 'invalid_refresh_token' };
  if (presented.counter === family.counter && presented.hashMatches) return { kind: 'rotate' };
  const isPrevious = presented.counter === family.counter - 1;
  if (isPrevious && family.withinGrace && presented.successor !== undefined) {
    return { kind: 'repeat', successor: presented.successor };
  }
  return { kind: 'end', reason: 'reuse', code: 'refresh_token_reused' };
}
