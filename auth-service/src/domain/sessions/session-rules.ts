import { publishAheadMs } from '../keys/signing-key-lifecycle.ts';

/** Lifetimes, in seconds. */
export const accessTokenLifetimeSec = 900;
export const idleLifetimeSec = 14 * 24 * 3600;
export const absoluteLifetimeSec = 90 * 24 * 3600;
export const selectionLifetimeSec = 300;
export const mfaLifetimeSec = 300;
/**
 * Grace period in which a client that lost a refresh response may retry. The database policies for upkeep use the same
 * value.
 */
export const graceSec = 30;
/** How far behind a verifier's clock may be. */
export const clockToleranceSec = 5;

/** How long a revocation stays in the feed: as long as a verifier could still accept a token issued before it. */
export const revocationInForceSec = accessTokenLifetimeSec + clockToleranceSec;

/** How a client sends its refresh token: in the body, or in a cookie that scripts cannot read. */
export type Transport = 'body' | 'cookie';

/** How long a verifier may use a key set that still has a revoked key: the lifetime of a stale key set. */
export const keyRevocationInForceSec = publishAheadMs / 1000;

export type EndReason =
  | 'logout'
  | 'reuse'
  | 'ahead'
  | 'inactive'
  | 'mfa_enabled'
  | 'user_disabled'
  | 'tenant_disabled'
  | 'operator'
  | 'password_reset'
  | 'password_changed'
  | 'member_changed';
