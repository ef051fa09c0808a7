import { ServerResponse } from 'node:http';

type StoreHeader = (this: ServerResponse, firstLine: string, headers: unknown) => void;

const nodesStoreHeader = Reflect.get(ServerResponse.prototype, '_storeHeader') as StoreHeader;

const isToken = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// Node decides more than one thing by these, so it writes such heads itself.
const rare: ReadonlySet<string> = new Set(['connection', 'keep-alive', 'transfer-encoding', 'expect', 'trailer']);

/** `rare`, or what the head must know of a header. */
type NameKind = 'content-length' | 'date' | 'other' | 'rare';

const kinds = new Map<string, NameKind>();
// Services choose the names, so the cache is bounded.
const maxKinds = 1_000;

function kindOf(name: string): NameKind {
  const known = kinds.get(name);
  if (known !== undefined) return known;
  const lower = name.toLowerCase();
  let kind: NameKind = 'other';
  if (!isToken.test(name) || rare.has(lower)) kind = 'rare';
  else if (lower === 'content-length' || lower === 'date') kind = lower;
  // A copy: the name may be a slice of a whole head, which the cache would keep in memory.
  if (kinds.size < maxKinds) kinds.set(Buffer.from(name, 'latin1').toString('latin1'), kind);
  return kind;
}

/**
 * A response that writes the usual head in one pass: a flat list with a length, on a connection that stays open. Node
 * checks each name and value with regular expressions, which costs 1.5 µs more. It still writes every other head.
 *
 * The values of a flat list are not checked: they come from the parser of a service's response, which refuses control
 * characters, or from the gateway.
 */
export class FlatHeadResponse extends ServerResponse {
  /** Told once that the response is sent or its connection closed. Cheaper than one more listener for `close`. */
  watcher: Readonly<{ responseClosed(): void }> | undefined = undefined;
  // What node keeps of a head. Its own `_storeHeader` reads and sets the same fields.
  declare _header: string;
  declare _headerSent: boolean;
  declare _contentLength: number | null;
  declare _removedContLen: boolean;
  declare readonly _removedConnection: boolean;
  declare readonly _defaultKeepAlive: boolean;
  declare readonly _keepAliveTimeout: number;
  declare readonly maxRequestsOnConnectionReached: boolean;

  _storeHeader(firstLine: string, headers: unknown): void {
    const head = Array.isArray(headers) && this.#staysOpen() ? this.#usualHead(firstLine, headers) : undefined;
    if (head === undefined) {
      nodesStoreHeader.call(this, firstLine, headers);
      return;
    }
    this._header = head;
    this._headerSent = false;
  }

  #staysOpen(): boolean {
    return (
      this.shouldKeepAlive &&
      !this._removedConnection &&
      !this.maxRequestsOnConnectionReached &&
      this.statusCode !== 204 &&
      this.statusCode !== 304
    );
  }

  /** @returns Undefined for a head that Node must write. */
  #usualHead(firstLine: string, headers: readonly string[]): string | undefined {
    let head = firstLine;
    let length: string | undefined;
    let hasDate = false;
    for (let at = 0; at < headers.length; at += 2) {
      const name = headers[at] as string;
      const value = headers[at + 1] as string;
      const kind = kindOf(name);
      if (kind === 'rare') return undefined;
      if (kind === 'content-length') {
        if (length !== undefined) return undefined;
        length = value;
      } else if (kind === 'date') hasDate = true;
      head += `${name}: ${value}\r\n`;
    }
    if (length === undefined || (!hasDate && this.sendDate)) return undefined;
    this._contentLength = Number(length);
    this._removedContLen = false;
    return head + keepAliveLines(this);
  }
}

let lastTimeoutMs = 0;
let lastLines = '';

/** The last lines of the head. */
function keepAliveLines({ _keepAliveTimeout: timeoutMs, _defaultKeepAlive: hasTimeout }: FlatHeadResponse): string {
  if (!hasTimeout || !timeoutMs) return 'Connection: keep-alive\r\n\r\n';
  if (timeoutMs !== lastTimeoutMs) {
    lastTimeoutMs = timeoutMs;
    lastLines = `Connection: keep-alive\r\nKeep-Alive: timeout=${Math.floor(timeoutMs / 1000)}\r\n\r\n`;
  }
  return lastLines;
}

// Above this, copying the body costs more than a second buffer in the same system call.
const maxJoinedBytes = 16 * 1024;

/** Node joins the head and a Latin-1 string to one string. It writes a Buffer separately, which costs 7 µs more. */
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
