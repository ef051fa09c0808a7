import { isIP } from 'node:net';
import { classifyAddress } from '@countersign/service-kit';
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

/** Whether a {@link keySource} is a URL. */
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

/** An origin in the form that browsers send. */
export const publicOrigin = parsedText(
  'origin',
  'an origin without wildcards, such as "https://api.example.test"',
  (text) => bareOrigin(httpUrl(text)),
  originText,
);

/**
 * The characters that the identity contract allows. With any other, the gateway would refuse every token of the
 * issuer.
 */
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
