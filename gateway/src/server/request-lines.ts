import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';

/** Sees the request lines of one connection as they were written, which node's parser does not tell. */
export type RequestLines = Readonly<{
  /**
   * Whether this request's line was `METHOD target HTTP/1.x` with one space each, after nothing but empty lines. Asked once a
   * request, in their order, while the parser is at it.
   */
  isCanonical(request: IncomingMessage): boolean;
  /** What came of a request that is not known yet; empty, too, where that is not looked at. */
  unread(): Buffer;
  /** Nothing is under way: lets go of what need not be kept. */
  rest(): void;
  /** What comes next is no HTTP, or nobody's business any more. */
  leave(): void;
}>;

// Of a head that is still arriving. Bytes.
const mostKept = 64 * 1024;
const nothing: Buffer = Buffer.alloc(0);
const carriageReturn = 0x0d;
const lineFeed = 0x0a;

/**
 * The parser takes several spaces for one, `RTSP/1.0` for HTTP/1.0, and a bare CR for an empty line (RFC 9112 section 3 has them
 * refused). It does so only towards us, since what is forwarded is written anew; but whatever stands before us may read it otherwise.
 *
 * Exact, but behind a chunked body: where that ends the parser alone knows, so a line counts as canonical there when it is found
 * in its one form among the bytes since.
 *
 * It costs that bytes pass through JavaScript on their way to the parser: 5 to 7 us a request, which for requests through a whole
 * gateway could not be told from noise.
 *
 * It keeps what came of a head so far, 64 KiB at most. A longer one (the parser counts no separators and no spaces) is not looked at.
 */
export function watchRequestLines(socket: Duplex): RequestLines {
  /** The last that came, as far as it matters; `start` says where it stands among all that came. */
  let bytes = nothing;
  let start = 0;
  /** Where the next request begins, among all that came; undefined behind a chunked body. */
  let next: number | undefined = 0;
  let last: IncomingMessage | undefined;
  let isBlind = false;

  function unread(): Buffer {
    if (next === undefined) return last?.complete === false ? nothing : bytes.subarray(-mostKept);
    // Empty lines may come for ever.
    if (next < start + bytes.length) next = start + afterEmptyLines(bytes, next - start);
    return bytes.subarray(Math.max(0, next - start));
  }

  function see(chunk: Buffer): void {
    const kept = unread();
    if (kept.length > mostKept) {
      leave();
      return;
    }
    start += bytes.length - kept.length;
    bytes = kept.length === 0 ? chunk : Buffer.concat([kept, chunk]);
  }

  function leave(): void {
    socket.off('data', see);
    bytes = nothing;
    isBlind = true;
  }

  function find(line: string): number {
    if (next === undefined) return bytes.indexOf(line, 0, 'latin1');
    const at = afterEmptyLines(bytes, next - start);
    return bytes.toString('latin1', at, at + line.length) === line ? at : -1;
  }

  // Before the parser's own listener. That there is one of ours makes node hand it the bytes here, instead of deeper down.
  socket.prependListener('data', see);
  return {
    isCanonical(request) {
      if (isBlind) return true;
      const line = `${request.method} ${request.url} HTTP/${request.httpVersion}\r\n`;
      const at = find(line);
      if (at === -1) return false;
      last = request;
      const bodyBytes = bodyLength(request);
      const body = bytes.indexOf('\r\n\r\n', at + line.length - 2) + 4;
      next = bodyBytes === undefined ? undefined : start + body + bodyBytes;
      // So that this line is not found once more.
      if (next === undefined) drop(body);
      return true;
    },
    unread,
    rest() {
      const kept = unread();
      start += bytes.length - kept.length;
      bytes = kept.length === 0 ? nothing : Buffer.from(kept);
    },
    leave,
  };

  function drop(count: number): void {
    start += count;
    bytes = bytes.subarray(count);
  }
}

/** RFC 9112 section 2.2: a server should overlook those, and some old clients send one behind a body. */
function afterEmptyLines(bytes: Buffer, from: number): number {
  let at = from;
  while (bytes[at] === carriageReturn && bytes[at + 1] === lineFeed) at += 2;
  return at;
}

/** As the parser understood it; undefined where only the parser can say. */
function bodyLength({ headers }: IncomingMessage): number | undefined {
  return headers['transfer-encoding'] === undefined ? Number(headers['content-length'] ?? 0) : undefined;
}
