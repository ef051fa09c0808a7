import { publishAheadMs } from '../keys/signing-key-lifecycle.ts';

/** How long things live, in seconds. */
export const accessTokenLifetimeSec = 900;
export const idleLifetimeSec = 14 * 24 * 3600;
export const absoluteLifetimeSec = 90 * 24 * 3600;
export const selectionLifetimeSec = 300;
export const mfaLifetimeSec = 300;
/** A client that lost the answer to a refresh may ask again this long. The upkeep policies name the same time. */
export const graceSec = 30;
/** How recent a login must be for changes to what a login needs. */
export const freshLoginSec = 300;
/** Clocks of verifiers may be this far behind. */
const clockToleranceSec = 5;

/** How long a revocation is told to verifiers: as long as one of them could take a token from before it. */
export const revocationInForceSec = accessTokenLifetimeSec + clockToleranceSec;

/** How a client carries its refresh token: in bodies, or in a cookie that scripts cannot read. */
export type Transport = 'body' | 'cookie';

/** How long a verifier may go on with a key set in which a revoked key still is: as long as it may keep a stale one. */
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
