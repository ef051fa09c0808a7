import { type Dispatcher, get, headerOf } from '@countersign/http1-client';
import { type AgreementPublicKey, agreementKeysIn } from '@countersign/identity';

/** The keys that a target publishes, or the reason why they are not known. */
export type FetchedKeys = readonly AgreementPublicKey[] | string;

const path = '/.well-known/jwks.json';
export const keySetTimeoutMs = 5_000;
const maxBytes = 64 * 1024;
/** A service publishes one key, and two while it replaces it. */
const maxKeys = 4;

/**
 * Fetches a target's key set once. Redirects are not followed: another host could supply any key.
 *
 * @returns The keys for agreement, at most four. None if the target publishes no key set.
 */
export async function fetchAgreementKeys(pool: Dispatcher, stopped: AbortSignal): Promise<FetchedKeys> {
  try {
    const response = await get(pool, path, {
      headers: ['user-agent', 'countersign-keys', 'accept', 'application/jwk-set+json, application/json'],
      maxBodyBytes: maxBytes,
      timeoutMs: keySetTimeoutMs,
      signal: stopped,
    });
    const { status, body } = response;
    if (status !== 200) return status === 404 || status === 410 ? [] : `status ${status}`;
    if (headerOf(response, 'content-encoding') !== undefined) return 'content-encoding';
    const keys = agreementKeysIn(parse(body.toString('utf8')));
    return keys === undefined ? 'not a key set' : keys.slice(0, maxKeys);
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (code === 'UPSTREAM_HEAD_TIMEOUT' || code === 'UPSTREAM_BODY_TIMEOUT') return 'no response in time';
    if (code === 'UPSTREAM_RESPONSE_TOO_LARGE') return 'too large';
    return typeof code === 'string' ? code : 'no response';
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
