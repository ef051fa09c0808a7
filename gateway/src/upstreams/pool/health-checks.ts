import { type Dispatcher, get } from '@countersign/http1-client';
import type { Upstream } from '../../config/config.ts';
import { noAnswerReason } from './poll.ts';

export type HealthRules = NonNullable<Upstream['health']>;

// The body does not matter. It is read so that the connection can close normally.
const maxBodyBytes = 16 * 1024;

/**
 * Checks the health of a target once. Checks are not signed, because services serve their health path without identity.
 *
 * @returns Why it is not healthy: a status or an error code. Undefined if healthy.
 */
export async function checkHealth(
  pool: Dispatcher,
  { path, timeoutMs }: HealthRules,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    const headers = ['user-agent', 'countersign-health'];
    const { status } = await get(pool, path, { headers, maxBodyBytes, largerBody: 'cut', timeoutMs, signal });
    return status >= 200 && status < 300 ? undefined : `status ${status}`;
  } catch (error) {
    return noAnswerReason(error);
  }
}
