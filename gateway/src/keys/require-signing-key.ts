import { AppError } from '../errors.ts';
import type { GatewayKey, GatewayKeySet } from './gateway-keys.ts';

/** @throws AppError `unavailable` when no key may sign now: nothing goes out unsigned. */
export function requireSigningKey(keys: Pick<GatewayKeySet, 'signingKey'>, nowSec: number): GatewayKey {
  try {
    return keys.signingKey(nowSec);
  } catch (cause) {
    throw new AppError('unavailable', { cause, detail: { reason: 'no gateway key may sign now' } });
  }
}
