import { foldHeaderName, isReservedHeader } from '@countersign/identity';
import { plainAddress } from '@countersign/process-kit';
import { createSampler, parseTraceparent, RequestTrace } from '@countersign/tracing';
import type { GatewayConfig } from '../config/config.ts';
import { AppError } from '../errors.ts';
import { hopByHop, namedByConnection, rememberNames, withoutHeaders } from '../http/header-fields.ts';
import { readHandshake } from '../http/websocket-handshake.ts';
import { createClientAddress, createTrust } from './client-address.ts';
import type { Arrival, Exchange, InboundBody, Incoming } from './exchange.ts';

const contentTypeGrammar = /^[!-~](?:[ -~]*[!-~])?$/;
const contentLengthGrammar = /^(?:0|[1-9][0-9]{0,15})$/;
const maxContentType = 1024;

/** Returns the id that the client gave its request. Undefined unless it is 1 to 64 visible ASCII characters. */
export const clientRequestIdIn = (header: unknown): string | undefined =>
  typeof header === 'string' && /^[!-~]{1,64}$/.test(header) ? header : undefined;

/**
 * The first stage, on every route. Checks what the parser accepted, and drops each header that only the gateway may
 * set, in any spelling. Also drops hop-by-hop headers, and separates credentials.
 *
 * Reads `rawHeaders`, because Node joins repeated headers or keeps only the first.
 *
 * @param traceRatio The share of traces to record. If undefined, tracing is off, and trace headers are forwarded.
 * The stage throws AppError `headers_too_large`, `invalid_host`, `misdirected_request`, `invalid_request`.
 * @see DESIGN section 3, "Strip, then sign"
 */
export function createSanitize(
  config: Pick<GatewayConfig, 'headers' | 'publicOrigins' | 'trustedProxies'>,
  traceRatio?: number,
): (arrival: Arrival) => Incoming {
  const useOf = createHeaderClassifier(config.headers.strip, traceRatio !== undefined);
  const checkHost = createHostCheck(config.publicOrigins);
  const isTrusted = createTrust(config.trustedProxies);
  const clientAddress = createClientAddress(config.trustedProxies);
  const passesOrigin = !config.headers.strip.includes('origin');
  const hasDefaults = config.headers.security;
  const sampler = traceRatio === undefined ? undefined : createSampler(traceRatio);

  return (arrival) => {
    const { record, kind, rawHeaders, peer, httpVersion } = arrival;
    const { passing, read, problem } = sortHeaders(rawHeaders, useOf);
    record.clientRequestId = clientRequestIdIn(read['x-request-id']);
    if (sampler !== undefined) {
      const caller = parseTraceparent(read.traceparent);
      record.trace = new RequestTrace(sampler, record.requestId, arrival, caller);
      if (caller !== undefined && isTrusted(plainAddress(peer.remoteAddress ?? ''))) record.trace.trustCaller();
    }
    // Node's parser also accepts a line without a version (as 0.9) and the name of HTTP/2. WebSockets require 1.1.
    if (httpVersion !== '1.1' && (httpVersion !== '1.0' || kind === 'upgrade')) {
      throw new AppError('invalid_request', {
        detail: { reason: 'version', version: httpVersion },
        headers: { connection: 'close' },
      });
    }
    if (problem !== undefined) throw problem;
    const forwardedFor = read['x-forwarded-for'];
    const address = clientAddress(peer.remoteAddress ?? '', forwardedFor === undefined ? [] : [forwardedFor]);
    // Without an address, the socket is already closed, so no response can be sent.
    if (address === '') throw new AppError('invalid_request', { detail: { reason: 'the client disconnected' } });
    record.address = address;
    record.hasDefaults = hasDefaults;
    const host = checkHost(read.host);
    const named = namedByConnection(read.connection);
    const body = readFraming(read, isNamed(named, 'content-type') ? undefined : read['content-type'], httpVersion);
    const headers = named === undefined ? passing : withoutHeaders(passing, named);
    if (body.type !== undefined) headers.push('content-type', body.type);
    // Without a body the header has no meaning, and a service that requires digests would refuse a header that no
    // digest covers.
    if (body.encoding !== undefined && body.present) headers.push('content-encoding', body.encoding);
    if (read.origin !== undefined && passesOrigin && !isNamed(named, 'origin')) headers.push('origin', read.origin);
    const handshake =
      kind === 'upgrade' ? readHandshake(read, isNamed(named, 'sec-websocket-protocol'), body.present) : undefined;
    if (handshake !== undefined) headers.push(...handshake.headers);
    const authorization = isNamed(named, 'authorization') ? undefined : read.authorization;
    if (authorization !== undefined && handshake?.token !== undefined) {
      // Otherwise it would be unclear which of the two tokens applies.
      throw new AppError('invalid_request', {
        detail: { reason: 'a token in Authorization and another in a subprotocol' },
      });
    }
    const exchange: Exchange = arrival;
    exchange.headers = headers;
    exchange.credentials = {
      authorization: handshake?.token === undefined ? authorization : `Bearer ${handshake.token}`,
      dpop: isNamed(named, 'dpop') ? undefined : read.dpop,
      cookie: isNamed(named, 'cookie') ? undefined : read.cookie,
    };
    exchange.client = { address, protocol: peer.encrypted === true ? 'https' : 'http', host, origin: read.origin };
    exchange.body = body;
    exchange.upgrade = handshake?.upgrade;
    return arrival as Incoming;
  };
}

/**
 * What to do with an inbound header: forward it, drop it, or read it. To read it, this is the field's name. Names must
 * match exactly: `Content_Length` is not `Content-Length`, and is dropped.
 */
type HeaderUse = 'pass' | 'drop' | ReadHeader;

/** The headers that the gateway reads itself. Every request has the same fixed shape. */
const noHeaders = () => ({
  host: undefined as string | undefined,
  authorization: undefined as string | undefined,
  dpop: undefined as string | undefined,
  cookie: undefined as string | undefined,
  'content-length': undefined as string | undefined,
  'content-type': undefined as string | undefined,
  'content-encoding': undefined as string | undefined,
  'transfer-encoding': undefined as string | undefined,
  connection: undefined as string | undefined,
  'sec-websocket-key': undefined as string | undefined,
  'sec-websocket-version': undefined as string | undefined,
  'sec-websocket-protocol': undefined as string | undefined,
  'x-forwarded-for': undefined as string | undefined,
  origin: undefined as string | undefined,
  'x-request-id': undefined as string | undefined,
  traceparent: undefined as string | undefined,
});

type ReadHeader = keyof ReturnType<typeof noHeaders>;

/** How to join the values of a repeated header. Other headers must not repeat: see {@link sortHeaders}. */
const joinedBy: Readonly<Partial<Record<ReadHeader, string>>> = {
  cookie: '; ',
  connection: ',',
  'sec-websocket-protocol': ',',
  'x-forwarded-for': ',',
  // If one of these headers repeats, the gateway ignores it, because neither grammar allows the separator.
  'x-request-id': ', ',
  traceparent: ', ',
};

/** Headers that must not repeat, and whose values are not lists. */
export const singleHeaders: ReadonlySet<string> = new Set(
  Object.keys(noHeaders()).filter((name) => joinedBy[name as ReadHeader] === undefined),
);

const maxHeaders = 100;
const maxHeaderBytes = 12 * 1024;

// With these headers, a client could add its own data to a trace (W3C Trace Context and Baggage).
const ofTraces = ['tracestate', 'baggage'];

/** @param strip Additional headers to drop, from the configuration. */
function createHeaderClassifier(strip: readonly string[], isTraced: boolean): (rawName: string) => HeaderUse {
  const read: ReadonlySet<string> = new Set(
    Object.keys(noHeaders()).filter((name) => isTraced || name !== 'traceparent'),
  );
  const stripped: ReadonlySet<string> = new Set([...strip.map(foldHeaderName), ...(isTraced ? ofTraces : [])]);
  return rememberNames((rawName) => {
    const folded = foldHeaderName(rawName);
    if (read.has(folded)) {
      // `headers.strip` hides Origin from services, but the gateway's own checks still need it.
      const isTaken = !stripped.has(folded) || folded === 'origin';
      return rawName.toLowerCase() === folded && isTaken ? (folded as ReadHeader) : 'drop';
    }
    return isReservedHeader(folded) || hopByHop.has(folded) || stripped.has(folded) ? 'drop' : 'pass';
  });
}

/**
 * Sorts a request's headers: those that may be forwarded, and those that the gateway reads. Joins a list that arrived
 * in several headers.
 *
 * @returns `problem` is the refusal, which the caller throws once it has read the ids: an AppError `headers_too_large`,
 *   or `invalid_host` or `invalid_request` for a repeated header that is not a list, because some readers take the first
 *   value and others the last (RFC 9110 section 5.3).
 */
function sortHeaders(rawHeaders: readonly string[], useOf: (rawName: string) => HeaderUse) {
  const passing: string[] = [];
  const read = noHeaders();
  let problem = rawHeaders.length > maxHeaders * 2 ? tooLarge('count') : undefined;
  let bytes = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] as string;
    const value = rawHeaders[at + 1] as string;
    bytes += name.length + value.length + 4;
    const use = useOf(name);
    if (use === 'pass') passing.push(name, value);
    else if (use !== 'drop') {
      const before = read[use];
      const separator = joinedBy[use];
      if (before === undefined) read[use] = value;
      else if (separator !== undefined) read[use] = before + separator + value;
      else problem ??= repeated(use);
    }
  }
  if (bytes > maxHeaderBytes) problem ??= tooLarge('bytes');
  return { passing, read, problem };
}

const tooLarge = (reason: 'count' | 'bytes') => new AppError('headers_too_large', { detail: { reason } });

const repeated = (header: ReadHeader): AppError =>
  header === 'host'
    ? new AppError('invalid_host')
    : new AppError('invalid_request', { detail: { reason: 'repeated header', header } });

type Named = ReadonlySet<string> | undefined;

const isNamed = (named: Named, folded: string): boolean => named?.has(folded) === true;

function readFraming(
  read: Readonly<ReturnType<typeof noHeaders>>,
  type: string | undefined,
  httpVersion: string,
): InboundBody {
  const length = read['content-length'];
  const coding = read['transfer-encoding'];
  if (type !== undefined && (type.length > maxContentType || !contentTypeGrammar.test(type))) {
    throw new AppError('invalid_request', { detail: { reason: 'content-type' } });
  }
  if (length !== undefined && !contentLengthGrammar.test(length)) {
    throw framingError('content-length');
  }
  // Node decodes only `chunked`. With any other coding, the bytes are not the body (RFC 9112 sections 6.1, 6.3).
  if (coding !== undefined && (coding.toLowerCase() !== 'chunked' || httpVersion !== '1.1')) {
    throw framingError('transfer-encoding');
  }
  const bytes = length === undefined ? undefined : Number(length);
  return {
    present: coding !== undefined || (bytes ?? 0) > 0,
    length: bytes,
    type,
    // Kept even if Connection names it, because dropping the name would not decode the body.
    encoding: read['content-encoding'],
  };
}

/** It is unclear where the body ends, and so where the next request on this connection begins. */
const framingError = (header: string): AppError =>
  new AppError('invalid_request', { detail: { reason: 'framing', header }, headers: { connection: 'close' } });

const hostGrammar = /^(?:[a-z0-9](?:[a-z0-9.-]{0,253})|\[[0-9a-f:.]{2,45}\])(?::(\d{1,5}))?$/;

/** @returns A check that returns the host in lower case. Without `publicOrigins`, any well-formed host passes. */
export function createHostCheck(publicOrigins: readonly string[]): (host: string | undefined) => string {
  const served = new Set(publicOrigins.flatMap(hostsOf));
  // Most requests name the same host, so the last checked host is remembered.
  let last: string | undefined;
  let lastLower = '';
  return (host = '') => {
    if (host === last) return lastLower;
    const lower = host.toLowerCase();
    if (!served.has(lower)) {
      const port = hostGrammar.exec(lower);
      if (port === null || Number(port[1] ?? 0) > 65_535) throw new AppError('invalid_host');
      if (served.size > 0) throw new AppError('misdirected_request');
    }
    last = host;
    lastLower = lower;
    return lower;
  };
}

/** If the port is the default one, a host may omit it. `origin` is in the form of `URL.origin`. */
export function hostsOf(origin: string): readonly string[] {
  const { host, port, protocol } = new URL(origin);
  return port === '' ? [host, `${host}:${protocol === 'https:' ? 443 : 80}`] : [host];
}
