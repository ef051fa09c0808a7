import { foldHeaderName } from '@countersign/identity';
import type { GatewayConfig } from '../config/config.ts';
import { AppError } from '../errors.ts';
import type { Arrival, Header, InboundBody, Incoming, Unmarked } from '../exchange.ts';
import { defaultSecurityHeaders } from '../http/security-headers.ts';
import { readSubprotocols, type Upgrade } from '../http/subprotocols.ts';
import { createClientAddress, createHostCheck } from './client.ts';
import { createHeaderClassifier, type Disposition, namedByConnection, type ReadHeader } from './inbound-headers.ts';

const maxHeaders = 100;
const maxHeaderBytes = 12 * 1024;
const contentTypeGrammar = /^[!-~](?:[ -~]*[!-~])?$/;
const contentLengthGrammar = /^(?:0|[1-9][0-9]{0,15})$/;
const maxContentType = 1024;
const webSocketKey = /^[A-Za-z0-9+/]{22}==$/;

/** These headers must not repeat (RFC 9110 section 5.3): some readers take the first value, others the last. */
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
 * The first stage, on every route. Checks what the parser accepted, and drops each header that only the gateway may
 * write, in any spelling. Drops hop-by-hop headers too, and sets credentials apart.
 *
 * Reads `rawHeaders`, because Node joins repeated headers or keeps only the first.
 *
 * The stage throws AppError `headers_too_large`, `invalid_host`, `misdirected_request`, `invalid_request`.
 * @see DESIGN section 3, "Strip, then sign"
 */
export function createSanitize(
  config: Pick<GatewayConfig, 'headers' | 'publicOrigins' | 'trustedProxies'>,
): (arrival: Arrival) => Incoming {
  const dispositionOf = createHeaderClassifier(config.headers.strip);
  const checkHost = createHostCheck(config.publicOrigins);
  const clientAddress = createClientAddress(config.trustedProxies);
  const passesOrigin = !config.headers.strip.includes('origin');

  return (arrival) => {
    const { request, record, kind } = arrival;
    const { rawHeaders, socket, httpVersion } = request;
    // Node's parser also accepts a line without a version (as 0.9), and the name of HTTP/2. WebSockets need 1.1.
    if (httpVersion !== '1.1' && (httpVersion !== '1.0' || kind === 'upgrade')) {
      throw new AppError('invalid_request', { detail: { reason: 'version', version: httpVersion } });
    }
    const { passing, read } = sortHeaders(rawHeaders, dispositionOf);
    const address = clientAddress(socket.remoteAddress ?? '', read.get('x-forwarded-for') ?? []);
    // Without an address the socket is closed already, so no response can be sent.
    if (address === '') throw new AppError('invalid_request', { detail: { reason: 'the client disconnected' } });
    record.address = address;
    if (config.headers.security) record.defaults = defaultSecurityHeaders;
    const host = checkHost(first(read, 'host'));
    const named = namedByConnection(read.get('connection') ?? []);
    const isNamed = (name: string) => named?.has(foldHeaderName(name)) === true;
    const take = (name: ReadHeader) => (isNamed(name) ? undefined : first(read, name));
    const body = readFraming(read, take, request.httpVersion);
    const headers = named === undefined ? passing : passing.filter(([name]) => !isNamed(name));
    if (body.type !== undefined) headers.push(['content-type', body.type]);
    // Without a body it means nothing, and a service that requires digests would refuse a header that no digest covers.
    if (body.encoding !== undefined && body.present) headers.push(['content-encoding', body.encoding]);
    const origin = first(read, 'origin');
    if (origin !== undefined && passesOrigin && !isNamed('origin')) headers.push(['origin', origin]);
    const upgrade = kind === 'upgrade' ? readUpgrade(read, isNamed, body, headers) : undefined;
    const incoming: Unmarked<Incoming> = {
      ...arrival,
      method: request.method ?? '',
      rawTarget: request.url ?? '',
      headers,
      credentials: {
        authorization: singleCredential(take('authorization'), upgrade?.authorization),
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
    else if (disposition !== 'drop') remember(read, disposition, value);
  }
  if (bytes > maxHeaderBytes) throw new AppError('headers_too_large', { detail: { reason: 'bytes' } });
  return { passing, read };
}

function remember(read: Map<ReadHeader, string[]>, name: ReadHeader, value: string): void {
  const values = read.get(name);
  if (values === undefined) {
    read.set(name, [value]);
    return;
  }
  if (single.has(name)) throw name === 'host' ? new AppError('invalid_host') : repeated(name);
  values.push(value);
}

function readFraming(
  read: Map<ReadHeader, string[]>,
  take: (name: ReadHeader) => string | undefined,
  httpVersion: string,
): InboundBody {
  const length = first(read, 'content-length');
  const coding = first(read, 'transfer-encoding');
  const type = take('content-type');
  if (type !== undefined && (type.length > maxContentType || !contentTypeGrammar.test(type))) {
    throw new AppError('invalid_request', { detail: { reason: 'content-type' } });
  }
  if (length !== undefined && !contentLengthGrammar.test(length)) {
    throw framingError('content-length');
  }
  // Node decodes `chunked` only: with any other coding the bytes are not the body (RFC 9112 sections 6.1, 6.3).
  if (coding !== undefined && (coding.toLowerCase() !== 'chunked' || httpVersion !== '1.1')) {
    throw framingError('transfer-encoding');
  }
  const bytes = length === undefined ? undefined : Number(length);
  return {
    present: coding !== undefined || (bytes ?? 0) > 0,
    length: bytes,
    type,
    // Kept even if Connection names it: dropping the name would not decode the body.
    encoding: first(read, 'content-encoding'),
  };
}

function readUpgrade(
  read: Map<ReadHeader, string[]>,
  isNamed: (name: string) => boolean,
  body: InboundBody,
  headers: Header[],
): Readonly<{ upgrade: Upgrade; authorization: string | undefined }> {
  const key = first(read, 'sec-websocket-key');
  if (body.present) throw new AppError('body_not_allowed');
  if (key === undefined || !webSocketKey.test(key)) {
    throw new AppError('invalid_request', { detail: { reason: 'sec-websocket-key' } });
  }
  const version = first(read, 'sec-websocket-version');
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

/** Rejects two credentials: which one wins would be ambiguous. */
function singleCredential(header: string | undefined, subprotocol: string | undefined): string | undefined {
  if (header !== undefined && subprotocol !== undefined) {
    throw new AppError('invalid_request', {
      detail: { reason: 'a token in Authorization and another in a subprotocol' },
    });
  }
  return header ?? subprotocol;
}

const first = (read: Map<ReadHeader, string[]>, name: ReadHeader): string | undefined => read.get(name)?.[0];

const repeated = (name: string): AppError =>
  new AppError('invalid_request', { detail: { reason: 'repeated header', header: name } });

/** The end of the body is ambiguous, and so is the start of the next request on this connection. */
const framingError = (header: string): AppError =>
  new AppError('invalid_request', { detail: { reason: 'framing', header }, headers: { connection: 'close' } });
