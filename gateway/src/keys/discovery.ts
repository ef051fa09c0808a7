import { type LookupAddress, lookup } from 'node:dns';
import { createRequire } from 'node:module';
import { isIP, type LookupFunction } from 'node:net';
import { type FetchedJwks, type FindUrl, fetchJwks, type RemoteKeySetOptions } from '@countersign/jwks';
import { type AddressClass, classifyAddress, isLoopback, isPlainHttp } from '@countersign/process-kit';

const maxBytes = 256 * 1024;

/**
 * Finds the key URL of an issuer in its metadata (OpenID Connect Discovery 1.0, RFC 8414), and uses nothing else from
 * it. The metadata must name the issuer exactly, without a redirect. The key URL must not be closer to this network
 * than the issuer's address.
 */
export function discoveredKeys(issuer: string): Required<Pick<RemoteKeySetOptions, 'url' | 'fetch'>> {
  // The operator chose the issuer, so the issuer's own address may be anywhere.
  const metadata = guardedFetch(() => 'loopback');
  return {
    async url(limits) {
      const [first, second] = metadataUrls(issuer);
      const read = async (url: string) =>
        readResult(await fetchJwks({ url, etag: undefined, maxBytes, fetch: metadata.fetch, ...limits }), issuer);
      const found = await read(first);
      // Try the other URL only if this document does not exist.
      if ('url' in found || found.reason !== 'status') return found;
      const other = await read(second);
      return 'reason' in other && other.reason === 'status' ? found : other;
    },
    fetch: guardedFetch(metadata.reached).fetch,
  };
}

/** Returns the URLs of OpenID Connect Discovery 1.0 section 4 and RFC 8414 section 3.1, in that order. */
function metadataUrls(issuer: string): readonly [string, string] {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, '');
  return [
    `${origin}${path}/.well-known/openid-configuration`,
    `${origin}/.well-known/oauth-authorization-server${path}`,
  ];
}

function readResult(result: FetchedJwks, issuer: string): Awaited<ReturnType<FindUrl>> {
  if (result.outcome === 'failed') return { reason: result.reason, detail: result.detail };
  const value = result.outcome === 'fetched' ? result.value : undefined;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return { reason: 'malformed' };
  const document = value as Readonly<Record<string, unknown>>;
  if (document.issuer !== issuer) {
    return {
      reason: 'issuer_mismatch',
      detail: `the document names ${JSON.stringify(document.issuer)?.slice(0, 200)}`,
    };
  }
  // A provider never offers browsers an endpoint over plain http, so this is not its real document.
  const bad = Object.entries(document).find(([name, url]) => isEndpoint(name) && !isAcceptable(url, issuer));
  if (bad !== undefined) return { reason: 'url_refused', detail: bad[0] };
  const { jwks_uri: url } = document;
  return typeof url === 'string' ? { url } : { reason: 'url_refused', detail: 'jwks_uri' };
}

const isEndpoint = (name: string): boolean => name === 'jwks_uri' || name.endsWith('_endpoint');

/** Accepts https. Accepts http only on this machine, or if the operator configured an http issuer. */
function isAcceptable(text: unknown, issuer: string): boolean {
  const url = typeof text === 'string' ? URL.parse(text) : null;
  if (url === null || url.username !== '' || url.password !== '') return false;
  if (url.protocol === 'https:') return true;
  return url.protocol === 'http:' && (isLoopback(url.href) || isPlainHttp(issuer));
}

/** Address classes that a connection may reach. Each includes the classes before it. */
export type ReachableClass = Exclude<AddressClass, 'forbidden'>;

const classes: readonly AddressClass[] = ['public', 'private', 'loopback', 'forbidden'];

const isWithin = (addressClass: AddressClass, limit: ReachableClass): boolean =>
  classes.indexOf(addressClass) <= classes.indexOf(limit);

/** Checks each address at connect time: a name may resolve to another later. Never reaches metadata services. */
export function guardedFetch(farthest: () => ReachableClass) {
  let reached: ReachableClass = 'public';

  const accept = (address: string): boolean => isWithin(classifyAddress(address), farthest());

  const checkedLookup: LookupFunction = (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, found) => {
      if (error !== null) return callback(error, '', 0);
      const accepted = (found as readonly LookupAddress[]).filter(({ address }) => accept(address));
      const [first] = accepted;
      if (first === undefined) return callback(refusedAddress(), '', 0);
      if (options.all === true) return callback(null, [...accepted]);
      return callback(null, first.address, first.family);
    });
  };

  // Loaded on demand, because most gateways discover no keys.
  const undici = createRequire(import.meta.url)('undici') as typeof import('undici');
  const connect = undici.buildConnector({ lookup: checkedLookup });
  const dispatcher = new undici.Agent({
    pipelining: 0,
    connect(options, callback) {
      connect(options, (...result) => {
        // Checks the address of the established connection, because a name may resolve to several.
        const addressClass = classifyAddress(result[1]?.remoteAddress ?? '');
        if (addressClass !== 'forbidden' && !isWithin(addressClass, reached)) reached = addressClass;
        callback(...result);
      });
    },
  });

  return {
    /** Uses a new connection for each request. Does not follow redirects or accept compression. */
    fetch: (async (input, init = {}) => {
      const url = String(input);
      const host = new URL(url).hostname.replace(/^\[|\]$/g, '');
      // A literal IP address causes no lookup, so it is checked here.
      if (isIP(host) !== 0 && !accept(host)) throw new TypeError('fetch failed', { cause: refusedAddress() });
      const own = { 'accept-encoding': 'identity', 'user-agent': 'countersign' };
      const headers = { ...Object.fromEntries(new Headers(init.headers)), ...own };
      // Node.js has the same class in its bundled copy of undici.
      const response: unknown = await undici.fetch(url, {
        ...(init as object),
        redirect: 'manual',
        dispatcher,
        headers,
      });
      return response as Response;
    }) satisfies typeof fetch,
    /** The class of the farthest address connected to so far. */
    reached: () => reached,
  };
}

const refusedAddress = (): Error => Object.assign(new Error('the address is not public'), { code: 'ADDRESS_REFUSED' });
