import { publishAheadMs } from '../keys/signing-key-lifecycle.ts';

/** Lifetimes in seconds. */
export const accessTokenLifetimeSec = 900;
export const idleLifetimeSec = 14 * 24 * 3600;
export const absoluteLifetimeSec = 90 * 24 * 3600;
export const selectionLifetimeSec = 300;
export const mfaLifetimeSec = 300;
/** The previous refresh token works this long, for a lost response. The policies for upkeep use the same value. */
export const graceSec = 30;
/** How far a verifier's clock may be behind. */
export const clockToleranceSec = 5;

/** How long a revocation stays in the feed: as long as a verifier could still accept an older token. */
export const revocationInForceSec = accessTokenLifetimeSec + clockToleranceSec;

/** How a refresh token is sent: in the body, or in a cookie that scripts cannot read. */
export type Transport = 'body' | 'cookie';

/** How long a verifier can use a stale key set, which may still have a revoked key. */
export const keyRevocationInForceSec = publishAheadMs / 1000;

export type EndReason =
  | 'logout'
  | 'reuse'
  | 'ahead'
  | 'inactive'
  | `mfa_${'enabled' | 'removed' | 'codes_renewed'}`
  | 'user_disabled'
  | 'tenant_disabled'
  | 'operator'
  | 'password_reset'
  | 'password_changed'
  | 'member_changed'
  | 'admin';
