import ipaddr from 'ipaddr.js';

/** Public addresses that are services of a cloud's own machines: Azure's agent answers on this one. */
const cloudServices = new Set(['168.63.129.16']);

const assignedIpv6 = ipaddr.parseCIDR('2000::/3');

/** Whether deliveries may go to `public` addresses alone, or to this machine too (development). */
export type WebhookReach = 'public' | 'loopback';

/**
 * Whether a delivery may connect to an IP address. Refused are private, loopback, link-local (with the metadata services of
 * clouds), multicast, reserved and carrier-grade addresses, and IPv6 forms that hold any IPv4 address (6to4, Teredo, NAT64).
 */
export function mayConnectTo(address: string, reach: WebhookReach): boolean {
  if (!ipaddr.isValid(address)) return false;
  // An IPv4 address inside IPv6 (::ffff:10.0.0.1) is judged as the IPv4 address that it reaches.
  const parsed = ipaddr.process(address);
  const range = parsed.range();
  if (range === 'loopback') return reach === 'loopback';
  if (range !== 'unicast' || cloudServices.has(parsed.toString())) return false;
  // IPv6 addresses are assigned from here alone (RFC 4291 section 2.4). ::10.0.0.1 counts as unicast too.
  return parsed.kind() === 'ipv4' || parsed.match(assignedIpv6);
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
  if (ipaddr.isValid(host) && !mayConnectTo(host, reach)) return 'must be a public address';
  const isLocal =
    reach === 'loopback' &&
    (host === 'localhost' || (ipaddr.isValid(host) && ipaddr.process(host).range() === 'loopback'));
  if (url.protocol !== 'https:' && !(isLocal && url.protocol === 'http:')) return 'must be an https URL';
  // Signed as @target-uri: what is sent must be what was saved.
  return url.href === text ? undefined : `must be in its normal form: ${url.href}`;
}
