import { BlockList, isIP, isIPv4 } from 'node:net';
import { z } from 'zod';
import type { Address, Network } from './config.ts';

const unitMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const unitBytes = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const;

const durationText = /^(\d{1,9})(ms|s|m|h|d)$/;
const sizeText = /^(\d{1,9})(B|KiB|MiB|GiB)$/;

/** `250ms`, `30s`, `15m`, `1h`, `1d`; milliseconds once parsed. */
export function duration(bounds: { min: string; max: string }) {
  const allowed = `a duration from ${bounds.min} to ${bounds.max}, such as 30s (units: ms, s, m, h, d)`;
  const [min, max] = [toMs(bounds.min), toMs(bounds.max)];
  return z
    .string({ error: `must be ${allowed}` })
    .regex(durationText, { error: `must be ${allowed}` })
    .meta({ 'x-type': 'duration', 'x-bounds': `${bounds.min} to ${bounds.max}` })
    .transform((text, context) => {
      const ms = toMs(text);
      if (ms >= min && ms <= max) return ms;
      context.addIssue({ code: 'custom', message: `must be ${allowed}` });
      return z.NEVER;
    });
}

/** Like {@link duration}, in whole seconds. */
export function seconds(bounds: { min: string; max: string }) {
  return duration(bounds).transform((ms, context) => {
    if (ms % 1000 === 0) return ms / 1000;
    context.addIssue({ code: 'custom', message: 'must be a whole number of seconds' });
    return z.NEVER;
  });
}

/** Bytes as a number, or `512B`, `64KiB`, `1MiB`, `1GiB`. */
export function size(bounds: { min: string; max: string }) {
  const allowed = `a size from ${bounds.min} to ${bounds.max}, such as 1MiB (units: B, KiB, MiB, GiB) or a number of bytes`;
  const [min, max] = [toBytes(bounds.min), toBytes(bounds.max)];
  return z
    .union([z.int(), z.string().regex(sizeText, { error: `must be ${allowed}` })], { error: `must be ${allowed}` })
    .meta({ 'x-type': 'size', 'x-bounds': `${bounds.min} to ${bounds.max}` })
    .transform((given, context) => {
      const bytes = typeof given === 'number' ? given : toBytes(given);
      if (bytes >= min && bytes <= max) return bytes;
      context.addIssue({ code: 'custom', message: `must be ${allowed}` });
      return z.NEVER;
    });
}

function toMs(text: string): number {
  const [, digits, unit] = durationText.exec(text) ?? [];
  return Number(digits) * unitMs[unit as keyof typeof unitMs];
}

function toBytes(text: string): number {
  const [, digits, unit] = sizeText.exec(text) ?? [];
  return Number(digits) * unitBytes[unit as keyof typeof unitBytes];
}

/** A string that `parse` can make something of; undefined from it is a refusal. */
function parsed<T>(type: string, allowed: string, parse: (text: string) => T | undefined) {
  return z
    .string({ error: `must be ${allowed}` })
    .meta({ 'x-type': type })
    .transform((text, context) => {
      const value = parse(text);
      if (value !== undefined) return value;
      context.addIssue({ code: 'custom', message: `must be ${allowed}` });
      return z.NEVER;
    });
}

/** `host:port`, `[::1]:port`. */
export const address = parsed('address', 'an address to listen on, such as "127.0.0.1:8080"', parseAddress);

function parseAddress(text: string): Address | undefined {
  const [, v6, name, digits] = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = v6 ?? name;
  const port = Number(digits);
  if (host === undefined || port > 65_535) return undefined;
  if (v6 !== undefined && isIP(v6) !== 6) return undefined;
  // What looks like an IPv4 address and is none would be looked up as a name.
  if (name !== undefined && /^[\d.]+$/.test(name) && !isIPv4(name)) return undefined;
  return { host, port };
}

/** `10.0.0.0/8`, `fd00::/8`, or one address. */
export const network = parsed(
  'network',
  'an address or a network, such as "10.0.0.0/8"; a network of everybody would let every client choose its address',
  parseNetwork,
);

function parseNetwork(text: string): Network | undefined {
  const [, ip = '', digits] = /^([0-9A-Fa-f:.]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const version = isIP(ip);
  if (version === 0) return undefined;
  const longest = version === 4 ? 32 : 128;
  const prefix = digits === undefined ? longest : Number(digits);
  if (prefix < 1 || prefix > longest) return undefined;
  return { address: ip, prefix, family: version === 4 ? 'ipv4' : 'ipv6' };
}

/** What the gateway calls: http or https, nobody's password in it, and not a cloud's metadata service. */
export const calledUrl = parsed(
  'URL',
  'an http or https URL without user, password or fragment, that is not a link-local or metadata address',
  (text) => callable(text)?.href,
);

const scheme = /^[A-Za-z][A-Za-z0-9+.-]*:/;

/** Where keys are: an URL that is fetched, or a file. */
export const keySource = parsed(
  'URL or path',
  'the path of a JWK set, or an http or https URL without user, password or fragment, that is not a link-local or metadata address',
  (text) => {
    if (scheme.test(text)) return callable(text)?.href;
    return text === '' || text.includes('\0') ? undefined : text;
  },
);

/** Whether a {@link keySource} is fetched. */
export function isFetched(source: string): boolean {
  return scheme.test(source);
}

/** The same, and nothing but scheme, host and port. */
export const targetOrigin = parsed(
  'origin',
  'an http or https origin (scheme, host and port, no path, user or password) that is not a link-local or metadata address',
  (text) => {
    const url = callable(text);
    return url !== undefined && isBareOrigin(url) ? url.origin : undefined;
  },
);

/** An origin as browsers write it. */
export const publicOrigin = parsed(
  'origin',
  'an origin without wildcards, such as "https://api.example.test"',
  (text) => {
    const url = httpUrl(text);
    return url !== undefined && isBareOrigin(url) ? url.origin : undefined;
  },
);

/** Kept as written: `iss` is compared byte by byte (RFC 9068 section 4). */
export const issuerIdentifier = parsed(
  'URL',
  'an http or https URL without user, password, query or fragment, exactly as `iss` says it',
  (text) => {
    const url = httpUrl(text);
    return url !== undefined && url.search === '' && !text.includes('?') ? text : undefined;
  },
);

export const redisUrl = parsed('URL', 'a redis: or rediss: URL', (text) => {
  const url = URL.parse(text);
  return url !== null && (url.protocol === 'redis:' || url.protocol === 'rediss:') && url.hostname !== ''
    ? text
    : undefined;
});

function httpUrl(text: string): URL | undefined {
  const url = URL.parse(text);
  // `http:/a` and `https://*.a.test` are URLs, and never what was meant.
  if (url === null || !/^https?:\/\//i.test(text) || url.hostname.includes('*')) return undefined;
  // An empty user or fragment leaves no trace in the parsed URL.
  if (url.username !== '' || url.password !== '' || /[@#\s]/.test(text)) return undefined;
  return url;
}

function isBareOrigin(url: URL): boolean {
  return url.pathname === '/' && url.search === '';
}

function callable(text: string): URL | undefined {
  const url = httpUrl(text);
  return url === undefined || isForbiddenTarget(url.hostname) ? undefined : url;
}

const forbidden = new BlockList();
forbidden.addSubnet('169.254.0.0', 16, 'ipv4'); // link-local, and most clouds' metadata service
forbidden.addSubnet('0.0.0.0', 8, 'ipv4');
forbidden.addAddress('100.100.100.200', 'ipv4'); // Alibaba Cloud
forbidden.addAddress('168.63.129.16', 'ipv4'); // Azure
forbidden.addAddress('192.0.0.192', 'ipv4'); // Oracle Cloud
forbidden.addSubnet('fe80::', 10, 'ipv6');
forbidden.addAddress('fd00:ec2::254', 'ipv6'); // AWS
forbidden.addAddress('::', 'ipv6');
const forbiddenNames = new Set(['metadata.google.internal', 'metadata.goog', 'metadata']);

/** @param hostname As WHATWG URL gives it: lower case, numbers made dotted, IPv6 in brackets. */
function isForbiddenTarget(hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
  const version = isIP(host);
  if (version !== 0) return forbidden.check(host, version === 4 ? 'ipv4' : 'ipv6');
  return forbiddenNames.has(host);
}

/** Whether a URL stays on this machine, so that plain http shows nothing to anybody. */
export function isLoopback(url: string): boolean {
  const host = new URL(url).hostname.replace(/^\[|\]$/g, '');
  return isLoopbackHost(host);
}

export function isLoopbackHost(host: string): boolean {
  return (
    host === 'localhost' || host.endsWith('.localhost') || host === '::1' || (isIPv4(host) && host.startsWith('127.'))
  );
}

const named = (pattern: RegExp, allowed: string) =>
  z.string({ error: `must be ${allowed}` }).regex(pattern, { error: `must be ${allowed}` });

/** The name of an upstream, a service or a route. An upstream's is the audience of what is signed for it. */
export const name = named(
  /^[a-z][a-z0-9-]{0,62}$/,
  'a name: a lower-case letter, then letters, digits and "-", 63 at most',
);

/** A role as the identity contract allows it. */
export const role = named(/^[a-z0-9_-]{1,64}$/, 'a role: lower-case letters, digits, "_" and "-", 64 at most');

/** A user's or tenant's id as the identity contract allows it. */
export const id = named(/^[A-Za-z0-9._~:@|-]{1,128}$/, 'an id: letters, digits and "._~:@|-", 128 at most');

export const claimName = named(/^[^\s"\\]{1,128}$/, 'the name of a claim');

export const headerName = named(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$/, 'the name of a header');

export const cookieName = named(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$/, 'the name of a cookie');

/** Not what the file holds: a key in a variable where its path belongs would be told wherever the path is. */
export const filePath = named(
  /^[^\0\r\n{][^\0\r\n]*$/,
  'the path of a file or directory, not what is in it; a relative one starts at the directory of this file',
);

/** A path without query, in the form that is sent. */
export const pathOnly = parsed('path', 'a path without query, such as /healthz', (text) => {
  const url = URL.parse(text, 'http://a');
  return text.startsWith('/') && url?.origin === 'http://a' && url.pathname === text ? text : undefined;
});

export const hostName = named(
  /^(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$/,
  'a host name, such as "complaints.internal"',
);

export const text = named(/^[^\0]+$/, 'a text');

/** A list without repetitions. */
export function unique<Item extends z.ZodType>(item: Item) {
  return z.array(item).refine((items) => new Set(items).size === items.length, { error: 'names something twice' });
}
