import { isIP } from 'node:net';
import { classifyAddress } from '@countersign/process-kit';

/** Whether deliveries can go only to `public` addresses, or for development also to this machine. */
export type AllowedReceivers = 'public' | 'loopback';

export function mayConnectTo(address: string, receivers: AllowedReceivers): boolean {
  const found = classifyAddress(address);
  return found === 'public' || found === receivers;
}

/**
 * Checks a webhook's URL before it is saved. Each connection checks the address to which the name resolves.
 *
 * @returns What is wrong with the URL, or undefined.
 */
export function problemOfUrl(text: string, receivers: AllowedReceivers): string | undefined {
  const url = URL.parse(text);
  if (url === null || text.length > 2_000 || /[^\x21-\x7e]/.test(text))
    return 'must be an https URL of at most 2,000 ASCII characters';
  if (url.username !== '' || url.password !== '' || text.includes('#'))
    return 'must not have a user, a password or a fragment';
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (isIP(host) !== 0 && !mayConnectTo(host, receivers)) return 'must be a public address';
  const isLocal = receivers === 'loopback' && (host === 'localhost' || classifyAddress(host) === 'loopback');
  if (url.protocol !== 'https:' && !(isLocal && url.protocol === 'http:')) return 'must be an https URL';
  // The signature covers the URL as @target-uri, so the saved URL must equal the sent one.
  return url.href === text ? undefined : `must be in normalized form: ${url.href}`;
}
