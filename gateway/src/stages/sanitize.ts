import { foldHeaderName } from '@countersign/identity';
import type { GatewayConfig } from '../config/config.ts';
import { AppError } from '../errors.ts';
import type { Arrival, Header, InboundBody, Incoming, Unmarked } from '../exchange.ts';
import { defaultSecurityHeaders } from '../http/security-headers.ts';
import type { Upgrade } from '../http/subprotocols.ts';
import { readSubprotocols } from '../http/subprotocols.ts';
import { createClientAddress } from './client-address.ts';
import { createDispositions, type Disposition, namedByConnection, type ReadHeader } from './inbound-headers.ts';
import { createHostCheck } from './public-host.ts';

const maxHeaders = 100;
const maxHeaderBytes = 12 * 1024;
const contentTypeGrammar = /^[!-~](?:[ -~]*[!-~])?$/;
const contentLengthGrammar = /^(?:0|[1-9][0-9]{0,15})$/;
const maxContentType = 1024;
const webSocketKey = /^[A-Za-z0-9+/]{22}==$/;

/** RFC 9110 section 5.3 lets none of these repeat; readers that take the first and readers that take the last would differ. */
const single: ReadonlySet<ReadHeader> = new Set([
  'host',
  'authorization',
  'content-length',
  'content-type',
  'content-encoding',
  'transfer-encoding',
  'dpop',
  'sec-websocket-key',
  'sec-websocket-version',
  'origin',
]);

/**
 * First of all, and on every route: judges what the parser let through, drops every header that only the gateway may write,
 * in whatever spelling, and everything that belongs to the client's own hop. Credentials are taken aside.
 *
 * It reads `rawHeaders`: node keeps the first of two and joins others, and so hides what was really sent.
 *
 * The stage throws AppError `headers_too_large`, `invalid_host`, `misdirected_request`, `invalid_request`.
 * @see DESIGN section 3, "Strip, then sign"
 */
export function createSanitize(
  config: Pick<GatewayConfig, 'headers' | 'publicOrigins' | 'trustedProxies'>,
): (arrival: Arrival) => Incoming {
  const dispositionOf = createDispositions(config.headers.strip);
  const checkHost = createHostCheck(config.publicOrigins);
  const clientAddress = createClientAddress(config.trustedProxies);
  const passesOrigin = !config.headers.strip.includes('origin');

  return (arrival) => {
    const { request, record, kind } = arrival;
    const { rawHeaders, socket, httpVersion } = request;
    // Node's parser also lets a line without a version through (as 0.9), and the name of HTTP/2. WebSockets are of 1.1 alone.
    if (httpVersion !== '1.1' && (httpVersion !== '1.0' || kind === 'upgrade')) {
      throw new AppError('invalid_request', { detail: { reason: 'version', version: httpVersion } });
    }
    const { passing, read } = sortHeaders(rawHeaders, dispositionOf);
    const address = clientAddress(socket.remoteAddress ?? '', read.get('x-forwarded-for') ?? []);
    // No address: the socket is closed already, and nobody waits for an answer.
    if (address === '') throw new AppError('invalid_request', { detail: { reason: 'the client is gone' } });
    record.address = address;
    if (config.headers.security) record.defaults = defaultSecurityHeaders;
    const host = checkHost(only(read, 'host'));
    const named = namedByConnection(read.get('connection') ?? []);
    const isNamed = (name: string) => named?.has(foldHeaderName(name)) === true;
    const take = (name: ReadHeader) => (isNamed(name) ? undefined : only(read, name));
    const body = readBody(read, take, request.httpVersion);
    const headers = named === undefined ? passing : passing.filter(([name]) => !isNamed(name));
    if (body.type !== undefined) headers.push(['content-type', body.type]);
    // Without a body it says nothing, and a service that trusts digests refuses what it could not have covered.
    if (body.encoding !== undefined && body.present) headers.push(['content-encoding', body.encoding]);
    const origin = only(read, 'origin');
    if (origin !== undefined && passesOrigin && !isNamed('origin')) headers.push(['origin', origin]);
    const upgrade = kind === 'upgrade' ? readUpgrade(read, isNamed, body, headers) : undefined;
    const incoming: Unmarked<Incoming> = {
      ...arrival,
      method: request.method ?? '',
      rawTarget: request.url ?? '',
      headers,
      credentials: {
        authorization: oneCredential(take('authorization'), upgrade?.authorization),
        dpop: take('dpop'),
        cookie: isNamed('cookie') ? undefined : read.get('cookie')?.join('; '),
      },
      client: { address, protocol: 'encrypted' in socket ? 'https' : 'http', host, origin },
      body,
      upgrade: upgrade?.upgrade,
    };
    return incoming as Incoming;
  };
}

function sortHeaders(
  rawHeaders: readonly string[],
  dispositionOf: (rawName: string) => Disposition,
): Readonly<{ passing: Header[]; read: Map<ReadHeader, string[]> }> {
  if (rawHeaders.length > maxHeaders * 2) throw new AppError('headers_too_large', { detail: { reason: 'count' } });
  const passing: Header[] = [];
  const read = new Map<ReadHeader, string[]>();
  let bytes = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? '';
    const value = rawHeaders[at + 1] ?? '';
    bytes += name.length + value.length + 4;
    const disposition = dispositionOf(name);
    if (disposition === 'pass') passing.push([name, value]);
    else if (disposition !== 'drop') note(read, disposition, value);
  }
  if (bytes > maxHeaderBytes) throw new AppError('headers_too_large', { detail: { reason: 'bytes' } });
  return { passing, read };
}

function note(read: Map<ReadHeader, string[]>, name: ReadHeader, value: string): void {
  const values = read.get(name);
  if (values === undefined) {
    read.set(name, [value]);
    return;
  }
  if (single.has(name)) throw name === 'host' ? new AppError('invalid_host') : repeated(name);
  values.push(value);
}

function readBody(
  read: Map<ReadHeader, string[]>,
  take: (name: ReadHeader) => string | undefined,
  httpVersion: string,
): InboundBody {
  const length = only(read, 'content-length');
  const coding = only(read, 'transfer-encoding');
  const type = take('content-type');
  if (type !== undefined && (type.length > maxContentType || !contentTypeGrammar.test(type))) {
    throw new AppError('invalid_request', { detail: { reason: 'content-type' } });
  }
  if (length !== undefined && !contentLengthGrammar.test(length)) {
    throw unframed('content-length');
  }
  // Node undoes `chunked` and nothing else: behind any other coding the bytes are not the body (RFC 9112 sections 6.1, 6.3).
  if (coding !== undefined && (coding.toLowerCase() !== 'chunked' || httpVersion !== '1.1')) {
    throw unframed('transfer-encoding');
  }
  const bytes = length === undefined ? undefined : Number(length);
  return {
    present: coding !== undefined || (bytes ?? 0) > 0,
    length: bytes,
    type,
    // Also where Connection names it: dropping the name would not undo the coding.
    encoding: only(read, 'content-encoding'),
  };
}

function readUpgrade(
  read: Map<ReadHeader, string[]>,
  isNamed: (name: string) => boolean,
  body: InboundBody,
  headers: Header[],
): Readonly<{ upgrade: Upgrade; authorization: string | undefined }> {
  const key = only(read, 'sec-websocket-key');
  if (body.present) throw new AppError('body_not_allowed');
  if (key === undefined || !webSocketKey.test(key)) {
    throw new AppError('invalid_request', { detail: { reason: 'sec-websocket-key' } });
  }
  const version = only(read, 'sec-websocket-version');
  const protocols = isNamed('sec-websocket-protocol') ? [] : (read.get('sec-websocket-protocol') ?? []);
  const { offered, isMarked, token } = readSubprotocols(protocols);
  headers.push(['sec-websocket-key', key]);
  if (version !== undefined) headers.push(['sec-websocket-version', version]);
  if (offered.length > 0) headers.push(['sec-websocket-protocol', offered.join(', ')]);
  return {
    upgrade: { protocol: 'websocket', key, version, subprotocols: offered, isMarked },
    authorization: token === undefined ? undefined : `Bearer ${token}`,
  };
}

/** Whose word would hold, if both said something else? */
function oneCredential(header: string | undefined, subprotocol: string | undefined): string | undefined {
  if (header !== undefined && subprotocol !== undefined) {
    throw new AppError('invalid_request', { detail: { reason: 'a token in Authorization and in a subprotocol' } });
  }
  return header ?? subprotocol;
}

const only = (read: Map<ReadHeader, string[]>, name: ReadHeader): string | undefined => read.get(name)?.[0];

const repeated = (name: string): AppError =>
  new AppError('invalid_request', { detail: { reason: 'repeated header', header: name } });

/** Where the body ends is in doubt, and so is where the next request on this connection begins. */
const unframed = (header: string): AppError =>
  new AppError('invalid_request', { detail: { reason: 'framing', header }, headers: { connection: 'close' } });
