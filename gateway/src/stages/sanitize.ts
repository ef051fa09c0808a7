import { foldHeaderName } from '@countersign/identity';
import type { GatewayConfig } from '../config/config.ts';
import { AppError } from '../errors.ts';
import type { Arrival, Exchange, InboundBody, Incoming } from '../exchange.ts';
import { defaultSecurityHeaders } from '../http/security-headers.ts';
import { readSubprotocols, type Upgrade } from '../http/subprotocols.ts';
import { createClientAddress, createHostCheck } from './client.ts';
import { createHeaderClassifier, type InboundHeaders, namedByConnection, sortHeaders } from './inbound-headers.ts';

const contentTypeGrammar = /^[!-~](?:[ -~]*[!-~])?$/;
const contentLengthGrammar = /^(?:0|[1-9][0-9]{0,15})$/;
const maxContentType = 1024;
const webSocketKey = /^[A-Za-z0-9+/]{22}==$/;

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
  const defaults = config.headers.security ? defaultSecurityHeaders : undefined;

  return (arrival) => {
    const { request, record, kind } = arrival;
    const { rawHeaders, socket, httpVersion } = request;
    // Node's parser also accepts a line without a version (as 0.9), and the name of HTTP/2. WebSockets need 1.1.
    if (httpVersion !== '1.1' && (httpVersion !== '1.0' || kind === 'upgrade')) {
      throw new AppError('invalid_request', { detail: { reason: 'version', version: httpVersion } });
    }
    const { passing, read } = sortHeaders(rawHeaders, dispositionOf);
    const forwardedFor = read['x-forwarded-for'];
    const address = clientAddress(socket.remoteAddress ?? '', forwardedFor === undefined ? [] : [forwardedFor]);
    // Without an address the socket is closed already, so no response can be sent.
    if (address === '') throw new AppError('invalid_request', { detail: { reason: 'the client disconnected' } });
    record.address = address;
    record.defaults = defaults;
    const host = checkHost(read.host);
    const named = namedByConnection(read.connection);
    const body = readFraming(read, isNamed(named, 'content-type') ? undefined : read['content-type'], httpVersion);
    const headers = named === undefined ? passing : withoutNamed(passing, named);
    if (body.type !== undefined) headers.push('content-type', body.type);
    // Without a body it means nothing, and a service that requires digests would refuse a header that no digest covers.
    if (body.encoding !== undefined && body.present) headers.push('content-encoding', body.encoding);
    if (read.origin !== undefined && passesOrigin && !isNamed(named, 'origin')) headers.push('origin', read.origin);
    const upgrade = kind === 'upgrade' ? readUpgrade(read, named, body, headers) : undefined;
    const authorization = isNamed(named, 'authorization') ? undefined : read.authorization;
    const exchange: Exchange = arrival;
    exchange.method = request.method ?? '';
    exchange.rawTarget = request.url ?? '';
    exchange.headers = headers;
    exchange.credentials = {
      authorization: singleCredential(authorization, upgrade?.authorization),
      dpop: isNamed(named, 'dpop') ? undefined : read.dpop,
      cookie: isNamed(named, 'cookie') ? undefined : read.cookie,
    };
    exchange.client = { address, protocol: 'encrypted' in socket ? 'https' : 'http', host, origin: read.origin };
    exchange.body = body;
    exchange.upgrade = upgrade?.upgrade;
    return arrival as Incoming;
  };
}

type Named = ReadonlySet<string> | undefined;

const isNamed = (named: Named, folded: string): boolean => named?.has(folded) === true;

function withoutNamed(headers: readonly string[], named: ReadonlySet<string>): string[] {
  return headers.filter((_, at) => !named.has(foldHeaderName(headers[at - (at % 2)] ?? '')));
}

function readFraming(read: InboundHeaders['read'], type: string | undefined, httpVersion: string): InboundBody {
  const length = read['content-length'];
  const coding = read['transfer-encoding'];
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
    encoding: read['content-encoding'],
  };
}

function readUpgrade(
  read: InboundHeaders['read'],
  named: Named,
  body: InboundBody,
  headers: string[],
): Readonly<{ upgrade: Upgrade; authorization: string | undefined }> {
  const key = read['sec-websocket-key'];
  const version = read['sec-websocket-version'];
  const protocols = read['sec-websocket-protocol'];
  if (body.present) throw new AppError('body_not_allowed');
  if (key === undefined || !webSocketKey.test(key)) {
    throw new AppError('invalid_request', { detail: { reason: 'sec-websocket-key' } });
  }
  const hasProtocols = protocols !== undefined && !isNamed(named, 'sec-websocket-protocol');
  const { offered, isMarked, token } = readSubprotocols(hasProtocols ? [protocols] : []);
  headers.push('sec-websocket-key', key);
  if (version !== undefined) headers.push('sec-websocket-version', version);
  if (offered.length > 0) headers.push('sec-websocket-protocol', offered.join(', '));
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

/** The end of the body is ambiguous, and so is the start of the next request on this connection. */
const framingError = (header: string): AppError =>
  new AppError('invalid_request', { detail: { reason: 'framing', header }, headers: { connection: 'close' } });
