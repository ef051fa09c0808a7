import type { ServerResponse } from 'node:http';
import type { DispatchController } from '@countersign/http1-client';
import { foldHeaderName, isReservedHeader } from '@countersign/identity';
import type { Upstream } from '../../config/config.ts';
import { AppError } from '../../errors.ts';
import { maySetCookie } from '../../http/cookies.ts';
import { hopByHop, namedByConnection, rememberNames, withoutHeaders } from '../../http/header-fields.ts';
import { defaultSecurityHeaders } from '../../http/security-headers.ts';
import { downloadRate, type RateWatch, watchRate } from '../../limits/min-rate.ts';
import type { Signed } from '../../pipeline/exchange.ts';
import type { ResponseLifetime, StalledResponses } from '../pool/long-lived-connections.ts';

export type ResponseHeaders = ReturnType<typeof filterHeaders>;

// Removed because these headers reveal the service's software.
const software: ReadonlySet<string> = new Set(['server', 'x-powered-by']);

/** A header name as one service spells it. `default` is its bit among the default headers, or 0. */
type KnownName = Readonly<{ handling: ReturnType<typeof handlingOf>; default: number }>;

const lookUp = rememberNames((name): KnownName => {
  const lower = name.toLowerCase();
  const index = defaultSecurityHeaders.indexOf(lower);
  return { handling: handlingOf(lower, foldHeaderName(name)), default: index === -1 ? 0 : 1 << index };
});

/** Decides what to do with a header. The remaining cases depend on the route or on the gateway's own headers. */
function handlingOf(lower: string, folded: string) {
  if (lower === 'content-length' || lower === 'content-type') return lower;
  if (folded.startsWith('access-control-')) return 'cors';
  switch (folded) {
    case 'connection':
    case 'set-cookie':
    case 'transfer-encoding':
    case 'x-identity-refused':
    case 'x-identity-unavailable':
    case 'dpop-nonce':
      return folded;
    case 'ratelimit':
    case 'ratelimit-policy':
      return 'limits';
    default:
      return hopByHop.has(folded) || software.has(folded) || isReservedHeader(folded) ? 'drop' : 'pass';
  }
}

/**
 * Filters a service's response headers for the client. Drops headers that only the gateway or a proxy may set, hop-by-hop
 * headers and headers that name the service's software. Drops guarded cookies that the route does not name, and cookies for a foreign domain.
 * Then adds the gateway's own headers, which replace the service's.
 *
 * @param raw Alternating names and values, as received.
 * @param target The origin that responded.
 */
export function filterHeaders(
  status: number,
  raw: readonly string[],
  { route, client, record }: Pick<Signed, 'route' | 'client' | 'record'>,
  target: string,
) {
  const passing: string[] = [];
  let refused: string | undefined;
  let connection: string | undefined;
  let transferEncoding: string | undefined;
  let contentLength: string | undefined;
  let contentType: string | undefined;
  let present = 0;
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at] as string;
    const value = raw[at + 1] as string;
    const known = lookUp(name);
    switch (known.handling) {
      case 'content-length':
        contentLength = value;
        passing.push(name, value);
        break;
      case 'content-type':
        contentType = value;
        passing.push(name, value);
        break;
      case 'pass':
        passing.push(name, value);
        present |= known.default;
        break;
      case 'set-cookie':
        if (maySetCookie(value, route.forward, client.host)) passing.push(name, value);
        break;
      case 'connection':
        connection = connection === undefined ? value : `${connection},${value}`;
        break;
      case 'transfer-encoding':
        transferEncoding = transferEncoding === undefined ? value : `${transferEncoding},${value}`;
        break;
      case 'limits':
        if (record.limits === undefined) passing.push(name, value);
        break;
      case 'cors':
        if (record.cors === undefined) passing.push(name, value);
        break;
      case 'dpop-nonce':
        if (record.nonce === undefined && route.forward.dpop) passing.push(name, value);
        break;
      case 'x-identity-refused':
        if (status === 401) refused = value;
        break;
      case 'x-identity-unavailable':
        if (status === 503) refused = value;
    }
  }
  const named = namedByConnection(connection);
  const { hiddenHeaders, upstream } = route;
  let left = named === undefined ? passing : withoutHeaders(passing, named);
  if (hiddenHeaders !== undefined) left = withoutHeaders(left, hiddenHeaders);
  // The gateway has verified the caller, so the service refuses the gateway's token.
  if (status === 401 && upstream.identity.token?.unauthorized === 'refuse') refused ??= 'token';
  if (record.limits !== undefined) left.push(...record.limits);
  if (record.cors !== undefined) left.push(...record.cors);
  if (record.nonce !== undefined) left.push(...record.nonce);
  if (record.hasDefaults) addDefaults(left, left === passing ? present : defaultsIn(left));
  // These responses have no body, but a client might wait for one (RFC 9110 section 8.6).
  if (status === 101 || status === 204) dropLength(left);
  return {
    /** Alternating names and values for `writeHead`. Repeated headers stay separate. */
    passing: left,
    /** Why the gateway does not forward the service's response. */
    refusal: refused === undefined ? undefined : refusedIdentity(status, refused, upstream.name, target),
    transferEncoding,
    contentLength,
    lifetime: lifetimeOf(contentType, contentLength),
  };
}

function dropLength(headers: string[]): void {
  for (let at = headers.length - 2; at >= 0; at -= 2) {
    if (headers[at]?.toLowerCase() === 'content-length') headers.splice(at, 2);
  }
}

/** Returns which default headers the list contains, as bits. */
function defaultsIn(headers: readonly string[]): number {
  let present = 0;
  for (let at = 0; at < headers.length; at += 2) present |= lookUp(headers[at] as string).default;
  return present;
}

function addDefaults(headers: string[], present: number): void {
  for (let at = 0; at < defaultSecurityHeaders.length; at += 2) {
    if ((present & (1 << at)) !== 0) continue;
    headers.push(defaultSecurityHeaders[at] as string, defaultSecurityHeaders[at + 1] as string);
  }
}

/**
 * Maps a service's refusal of our signature. It is never the client's fault: a clock or a key in the deployment is
 * wrong. `identity_unavailable` means that the service cannot check the signature now, so the request may be valid.
 * The service does not have our keys yet, or its replay store is down or too new.
 */
function refusedIdentity(status: number, reason: string, upstream: string, target: string): AppError {
  const isUnavailable = status === 503 || reason === 'created_before_start';
  const code = isUnavailable ? 'identity_unavailable' : 'identity_refused';
  return new AppError(code, { detail: { upstream, target, reason: reason.slice(0, 64) } });
}

// A media type in any case, without its parameters (RFC 9110 section 8.3.1).
const endless =
  /^(?:text\/event-stream|application\/x-ndjson|application\/json-seq|multipart\/x-mixed-replace)[\t ]*(?:;|$)/i;
const shortBytes = 64 * 1024;

/** Classifies a response by its media type and otherwise by its length. Without a length, it counts as long. */
function lifetimeOf(contentType: string | undefined, contentLength: string | undefined): ResponseLifetime {
  if (contentType !== undefined && endless.test(contentType)) return 'endless';
  return contentLength !== undefined && Number(contentLength) <= shortBytes ? 'short' : 'long';
}

/**
 * Writes a long response's body at the client's pace, and disconnects a client that reads more slowly than the minimum
 * rate. While the client does not read, the gateway does not read from the service either, so a stalled client would
 * hold both connections. The rate is measured only while bytes wait for the client. Progress becomes visible when the
 * buffer, at most about 128 KiB, shrinks.
 */
export class ResponseWriter {
  readonly #response: ServerResponse;
  readonly #limits: Upstream;
  readonly #stalled: StalledResponses;
  readonly #controller: DispatchController;
  #watching: RateWatch | undefined;
  #written = 0;
  releaseService: () => void = () => {};

  constructor(response: ServerResponse, limits: Upstream, stalled: StalledResponses, controller: DispatchController) {
    this.#response = response;
    this.#limits = limits;
    this.#stalled = stalled;
    this.#controller = controller;
  }

  write(chunk: Buffer): void {
    const response = this.#response;
    this.#written += chunk.length;
    if (response.write(chunk)) return;
    this.#controller.pause();
    this.releaseService = this.#stalled.add(() => response.destroy());
    this.#watch();
    response.once('drain', () => {
      this.stop();
      this.releaseService();
      this.#controller.resume();
    });
  }

  /** Watches the last bytes too, after the response has ended. */
  watchEnd(): void {
    this.#watch();
    this.#response.once('finish', this.stop).once('close', this.stop);
  }

  readonly stop = (): void => {
    this.#watching?.stop();
    this.#watching = undefined;
  };

  #watch(): void {
    const response = this.#response;
    // Without a socket, the response still waits for earlier responses on the same connection (pipelining).
    const taken = () => (response.socket === null ? undefined : this.#written - response.writableLength);
    this.#watching ??= watchRate(downloadRate(this.#limits), taken, () => response.destroy());
  }
}

// Above this size, copying the body costs more than a second buffer in the same system call.
const maxJoinedBytes = 16 * 1024;

/** Node sends a Latin-1 string together with the head, but a Buffer separately, which costs 7 µs more. */
export function endWith(response: ServerResponse, body: Buffer | undefined): void {
  if (body === undefined || body.length > maxJoinedBytes) response.end(body);
  else response.end(body.toString('latin1'), 'latin1');
}

/** Ends the response between two events, and closes the connection so that the client reconnects. */
export function endAndClose(response: ServerResponse): void {
  const { socket } = response;
  response.end(() => socket?.destroySoon());
}

/**
 * Closes the connection in the middle of the response. For HTTP/1.0 the end of the connection ends the body, so only a
 * reset shows that it is truncated (RFC 9112 section 8).
 */
export function breakOff(response: ServerResponse): void {
  const { req, socket } = response;
  if (req.httpVersion === '1.0' && socket !== null && !('encrypted' in socket)) socket.resetAndDestroy();
  response.destroy();
}
