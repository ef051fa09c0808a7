import { isIP } from 'node:net';
import { reachOf } from '@countersign/service-kit';

/** Whether deliveries may go to `public` addresses alone, or to this machine too (development). */
export type WebhookReach = 'public' | 'loopback';

/** Whether a delivery may connect to an IP address. */
export function mayConnectTo(address: string, reach: WebhookReach): boolean {
  const found = reachOf(address);
  return found === 'public' || found === reach;
}

/**
 * Checks a webhook's URL before it is saved. The address behind its name is checked with each connection.
 *
 * @returns What is wrong with it, or undefined.
 */
export function problemOfUrl(text: string, reach: WebhookReach): string | undefined {
  const url = URL.parse(text);
  if (url === null || text.length > 2_000 || /[^\x21-\x7e]/.test(text))
    return 'must be an https URL of at most 2,000 ASCII characters';
  if (url.username !== '' || url.password !== '' || text.includes('#'))
    return 'must not have a user, a password or a fragment';
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (isIP(host) !== 0 && !mayConnectTo(host, reach)) return 'must be a public address';
  const isLocal = reach === 'loopback' && (host === 'localhost' || reachOf(host) === 'loopback');
  if (url.protocol !== 'https:' && !(isLocal && url.protocol === 'http:')) return 'must be an https URL';
  // Signed as @target-uri: what is sent must be what was saved.
  return url.href === text ? undefined : `must be in its normal form: ${url.href}`;
}
