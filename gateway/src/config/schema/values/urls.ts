import { BlockList, isIP } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { classifyAddress, isLoopbackHost } from '@countersign/process-kit';
import { parsedText } from './scalars.ts';

const urlText = /^[Hh][Tt][Tt][Pp][Ss]?:\/\/[^\s@#]+$/;
const originText = /^[Hh][Tt][Tt][Pp][Ss]?:\/\/[^\s@#?*/]+\/?$/;

/** A URL that the gateway requests: http or https, without a password, and not a cloud metadata service. */
export const calledUrl = parsedText(
  'URL',
  'an http or https URL without user, password or fragment, that is not a link-local or metadata address',
  (text) => callable(text)?.href,
  urlText,
);

const scheme = /^[A-Za-z][A-Za-z0-9+.-]*:/;

/** The source of a key set: a URL to fetch, or a file. */
export const keySource = parsedText(
  'URL or path',
  'the path of a JWK set, or an http or https URL without user, password or fragment, that is not a link-local or metadata address',
  (text) => {
    if (scheme.test(text)) return callable(text)?.href;
    return text === '' || text.includes('\0') ? undefined : text;
  },
);

export function isFetched(source: string): boolean {
  return scheme.test(source);
}

/** Like {@link calledUrl}, but with only scheme, host and port. */
export const targetOrigin = parsedText(
  'origin',
  'an http or https origin (scheme, host and port, no path, user or password) that is not a link-local or metadata address',
  (text) => bareOrigin(callable(text)),
  originText,
);

export const publicOrigin = parsedText(
  'origin',
  'an origin without wildcards, such as "https://api.example.test"',
  (text) => bareOrigin(httpUrl(text)),
  originText,
);

/** What the identity contract allows. With anything else, the gateway would refuse every token of the issuer. */
const carriedIssuer = /^[!#-[\]-~]{1,512}$/;

/** Not normalized, because `iss` is compared byte by byte (RFC 9068 section 4). */
export const issuerIdentifier = parsedText(
  'URL',
  'an http or https URL of at most 512 visible ASCII characters, without quote, backslash, user, password, query or fragment, exactly as in `iss`',
  (text) => {
    const url = httpUrl(text);
    const isBare = url !== undefined && url.search === '' && !text.includes('?');
    return isBare && carriedIssuer.test(text) ? text : undefined;
  },
  urlText,
);

/** The issuer of the gateway's own tokens, without a slash at its end, because the upstream's name follows. */
export const tokenIssuer = parsedText(
  'URL',
  'an http or https origin such as "http://gateway.internal:8090", or a URN such as "urn:example:gateway"',
  (text) => {
    if (/^urn:[a-z0-9][a-z0-9-]{0,30}:[\w.:-]{1,400}$/i.test(text)) return text;
    // Services compare the text, so it must be in the form that `URL` has.
    return httpUrl(text)?.origin === text ? text : undefined;
  },
);

/** With a slash at its end, because a code follows. Has no characters with a meaning in a proxy's configuration. */
export const docsUrl = parsedText(
  'URL',
  'an https URL (http only on loopback) with no characters but letters, digits and "-_.~/:[]", such as "https://docs.example.com/errors"',
  (text) => {
    const url = /^[\w.~/:[\]-]+$/.test(text) ? httpUrl(text) : undefined;
    const isSafe = url?.protocol === 'https:' || isLoopbackHost(url?.hostname ?? '');
    return isSafe ? url?.href.replace(/\/?$/, '/') : undefined;
  },
  urlText,
);

export const allowedHost = parsedText(
  'host',
  'a host, with or without a port, without scheme, path or wildcard, such as "gateway.internal" or "10.0.0.5:9090"',
  (text) => {
    const port = /:(\d+)$/.exec(text.replace(/^\[[^\]]*\]/, ''));
    const isHost = /^(\[[0-9a-f:.]+\]|[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?)(:[1-9]\d{0,4})?$/i.test(text);
    const isReadable = Number(port?.[1] ?? 0) <= 65_535 && URL.canParse(`http://${text}`);
    return isHost && isReadable ? text.toLowerCase() : undefined;
  },
  /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?$/,
);

// ioredis also reads a password from the query string, but only the one before the host is redacted.
export const redisUrl = parsedText(
  'URL',
  'a redis: or rediss: URL, with a password only before the host',
  (text) => {
    const url = URL.parse(text);
    if (url === null || (url.protocol !== 'redis:' && url.protocol !== 'rediss:') || url.hostname === '')
      return undefined;
    return [...url.searchParams.keys()].some((key) => /password/i.test(key)) ? undefined : text;
  },
  /^\s*[Rr][Ee][Dd][Ii][Ss][Ss]?:/,
);

function httpUrl(text: string): URL | undefined {
  const url = URL.parse(text);
  // `http:/a` and `https://*.a.test` parse as URLs, but are mistakes.
  if (url === null || !/^https?:\/\//i.test(text) || url.hostname.includes('*')) return undefined;
  // The parsed URL does not reveal an empty user or fragment.
  if (url.username !== '' || url.password !== '' || /[@#\s]/.test(text)) return undefined;
  // No client can connect to port 0.
  return url.port === '0' ? undefined : url;
}

const bareOrigin = (url: URL | undefined): string | undefined =>
  url?.pathname === '/' && url.search === '' ? url.origin : undefined;

function callable(text: string): URL | undefined {
  const url = httpUrl(text);
  return url === undefined || isForbiddenHost(url.hostname) ? undefined : url;
}

const forbiddenNames = new Set([
  'metadata.google.internal',
  'metadata.goog',
  'metadata',
  'instance-data',
  'instance-data.ec2.internal',
]);

/**
 * Whether a host is a link-local address or a cloud metadata service.
 *
 * @param hostname From a WHATWG URL: lower case, dotted IPv4, IPv6 in brackets.
 */
export function isForbiddenHost(hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
  return isIP(host) === 0 ? forbiddenNames.has(host) : classifyAddress(host) === 'forbidden';
}

export const plainHttp =
  'plain http leaves this machine: use https, or set insecureTransport: true if the network is trusted';

/** A network in the form that `net.BlockList.addSubnet` expects. */
export type Network = Readonly<{ address: string; prefix: number; family: 'ipv4' | 'ipv6' }>;

export const network = parsedText(
  'network',
  'an address or a network, such as "10.0.0.0/8"; a network that contains all addresses would let every client fake its address',
  parseNetwork,
  /^[0-9A-Fa-f:.]+(\/\d{1,3})?$/,
).superRefine((given, context) => {
  const first = firstAddressOf(given);
  if (first === undefined) return;
  const message = `has host bits set: write the network "${first}/${given.prefix}", or one address: "${given.address}"`;
  context.addIssue({ code: 'custom', message });
});

/** @returns The network's first address. Undefined if that is the given address. */
function firstAddressOf({ address, prefix, family }: Network): string | undefined {
  const [bits, groups] = family === 'ipv4' ? [8, address.split('.').map(Number)] : [16, groupsOfIPv6(address)];
  const first = groups.map((group, index) => {
    const hostBits = bits - Math.min(Math.max(prefix - index * bits, 0), bits);
    return (group >> hostBits) << hostBits;
  });
  if (isDeepStrictEqual(first, groups)) return undefined;
  return family === 'ipv4' ? first.join('.') : normalizedIPv6(first.map((group) => group.toString(16)).join(':'));
}

function groupsOfIPv6(address: string): readonly number[] {
  const [before = [], after = []] = normalizedIPv6(address)
    .split('::')
    .map((groups) => groups.split(':').filter((group) => group !== ''));
  const zeros = Array<string>(8 - before.length - after.length).fill('0');
  return [...before, ...zeros, ...after].map((group) => Number.parseInt(group, 16));
}

/** Writes an address as hexadecimal groups, without a dotted end and with at most one `::`. */
const normalizedIPv6 = (address: string): string => new URL(`http://[${address}]`).hostname.slice(1, -1);

function parseNetwork(text: string): Network | undefined {
  const [, ip = '', digits] = /^([0-9A-Fa-f:.]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const version = isIP(ip);
  if (version === 0) return undefined;
  const longest = version === 4 ? 32 : 128;
  const prefix = digits === undefined ? longest : Number(digits);
  if (prefix < 1 || prefix > longest) return undefined;
  const asked: Network = { address: ip, prefix, family: version === 4 ? 'ipv4' : 'ipv6' };
  return isAllOfIPv4(asked) ? undefined : asked;
}

/** Whether a network contains `::ffff:0:0/96`, which covers every IPv4 client. */
function isAllOfIPv4({ address, prefix, family }: Network): boolean {
  const network = new BlockList();
  network.addSubnet(address, prefix, family);
  return network.check('0.0.0.0', 'ipv4') && network.check('255.255.255.255', 'ipv4');
}
