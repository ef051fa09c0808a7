import { publishAheadSec, runOutSec } from '../../../gateway/src/cli/keys.ts';
import { fallbackMs, maxAgeMs, refreshMs } from '../../../gateway/src/upstreams/agreement.ts';
import { isTooEarly, mayRetry } from '../../../gateway/src/upstreams/pool/retry.ts';
import { coveredRules } from '../../../packages/identity/src/contract/contract.ts';
import { scheduleKeys } from '../../../packages/identity/src/keys/agreement-schedule.ts';
import { memoryReplay } from '../../../packages/identity/src/replay/replay-memory.ts';
import { assertFresh, nonceKeepUntilSec } from '../../../packages/identity/src/verify/freshness.ts';
import { defaults } from '../../../packages/jwks/src/remote-key-set.ts';

/** What a client asks, and what the signature has to bind. */
export type Asked = { method: string; path: string; body: string; caller: string; audience: string };
/** A signed request. `request` is the index of what was asked. Times are in seconds of the gateway's clock. */
export type Copy = { request: number; key: string; nonce: string; createdSec: number; expiresSec: number };

const headerOf = { body: 'content-digest', caller: 'x-user-id', audience: 'x-identity-audience' };
const inHeaders = Object.entries(headerOf).filter(([, name]) => coveredRules.some((rule) => rule.name === name));

/** The protocol's rules: the product's functions and constants. A mutant replaces one. */
export const product = {
  covered: new Set(['method', 'path', 'nonce', 'expiresSec', ...inHeaders.map(([field]) => field)]),
  lifetimeSec: 60,
  freshness: { toleranceSec: 5, maxLifetimeSec: 60 },
  ...{ assertFresh, nonceKeepUntilSec, mayRetry, isTooEarly, scheduleKeys, publishAheadSec, runOutSec },
  ...{ checksAudience: true, checksAfterBody: true, checksTokenAgain: true },
  nonceOf: ({ nonce }: Copy): string => nonce,
  memoryStartSec: (nowSec: number): number =>
    memoryReplay({ gatewayAheadSec: 5, nowMs: () => nowSec * 1000 }).startsAtMs / 1000,
  /** Whether a request is repeated after `key_unknown`, and what the repeat takes from it. */
  repeats: true,
  repeatOf: ({ nonce, createdSec, expiresSec }: Copy): Partial<Copy> => ({ nonce, createdSec, expiresSec }),
  /** Whether a repeat that had no connection is sent again with its nonce. */
  keepsNonce: true,
  ...{ fallbackSec: fallbackMs / 1000, maxAgeSec: maxAgeMs / 1000, refreshSec: refreshMs / 1000 },
  ...{ cooldownSec: defaults.cooldownMs / 1000, keySetAgeSec: defaults.cacheMaxAgeMs / 1000 },
};

export type Rules = typeof product;
