import { ServerResponse } from 'node:http';

/** What `node:http` keeps of a response head. Its own `_storeHeader` sets the same fields. */
type HeadState = {
  _header: string;
  _headerSent: boolean;
  _contentLength: number | null;
  _removedContLen: boolean;
  readonly _removedConnection: boolean;
  readonly _defaultKeepAlive: boolean;
  readonly _keepAliveTimeout: number;
  readonly maxRequestsOnConnectionReached: boolean;
};

type HeadBuilder = (this: ServerResponse & HeadState, firstLine: string, headers: unknown) => void;

const { _storeHeader: storeHeader } = ServerResponse.prototype as unknown as Readonly<{ _storeHeader: HeadBuilder }>;

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
  _storeHeader(firstLine: string, headers: unknown): void {
    const state = this as unknown as ServerResponse & HeadState;
    const head = Array.isArray(headers) && staysOpen(state) ? usualHead(state, firstLine, headers) : undefined;
    if (head === undefined) {
      storeHeader.call(state, firstLine, headers);
      return;
    }
    state._header = head;
    state._headerSent = false;
  }
}

const staysOpen = (state: ServerResponse & HeadState): boolean =>
  state.shouldKeepAlive &&
  !state._removedConnection &&
  state.maxRequestsOnConnectionReached !== true &&
  state.statusCode !== 204 &&
  state.statusCode !== 304;

/** @returns Undefined for a head that Node must write. */
function usualHead(
  state: ServerResponse & HeadState,
  firstLine: string,
  headers: readonly string[],
): string | undefined {
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
  if (length === undefined || (!hasDate && state.sendDate)) return undefined;
  state._contentLength = Number(length);
  state._removedContLen = false;
  return head + keepAliveLines(state);
}

let lastTimeoutMs = 0;
let lastLines = '';

/** The last lines of the head. */
function keepAliveLines({ _keepAliveTimeout: timeoutMs, _defaultKeepAlive: hasTimeout }: HeadState): string {
  if (!hasTimeout || !timeoutMs) return 'Connection: keep-alive\r\n\r\n';
  if (timeoutMs !== lastTimeoutMs) {
    lastTimeoutMs = timeoutMs;
    lastLines = `Connection: keep-alive\r\nKeep-Alive: timeout=${Math.floor(timeoutMs / 1000)}\r\n\r\n`;
  }
  return lastLines;
}
