import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';

/** Checks the request lines of one connection byte by byte, which Node's parser does not expose. */
export type RequestLines = Readonly<{
  /**
   * Whether the request line was exactly `METHOD target HTTP/1.x`, with single spaces and only empty lines before it. Call it once for each
   * request, in order, when the parser reports the request.
   */
  isCanonical(request: IncomingMessage): boolean;
  /** The bytes received after the last known request. Empty after `stop`, and while a chunked body is incomplete. */
  unread(): Buffer;
  /** Frees memory while no request is in progress. */
  compact(): void;
  /** Stops checking: the connection is no longer HTTP, or is about to close. */
  stop(): void;
}>;

// Bytes kept of an incomplete head.
const maxKeptBytes = 64 * 1024;
const noBytes: Buffer = Buffer.alloc(0);
const carriageReturn = 0x0d;
const lineFeed = 0x0a;

/**
 * Node's parser accepts several spaces for one, `RTSP/1.0` for HTTP/1.0, and a bare CR for an empty line. RFC 9112 section 3 refuses them.
 * Services are safe, because the gateway writes its own request line. A proxy in front of the gateway may read such a line differently.
 *
 * The check is exact, except after a chunked body. Only the parser knows where that body ends, so the check searches the later bytes for the
 * canonical line.
 *
 * Bytes pass through JavaScript before the parser. That costs 5 to 7 µs a request, which a benchmark of the whole gateway cannot measure.
 *
 * At most 64 KiB of an incomplete head are kept, and a longer head is not checked. Such a head can pass the parser's limit, because the
 * parser does not count separators and spaces.
 */
export function trackRequestLines(socket: Duplex): RequestLines {
  /** The last bytes received. `start` is their offset in the connection. */
  let bytes = noBytes;
  let start = 0;
  /** The offset at which the next request starts. Undefined after a chunked body. */
  let next: number | undefined = 0;
  let last: IncomingMessage | undefined;
  let isStopped = false;

  function unread(): Buffer {
    if (next === undefined) return last?.complete === false ? noBytes : bytes.subarray(-maxKeptBytes);
    // A client may send empty lines forever.
    if (next < start + bytes.length) next = start + afterEmptyLines(bytes, next - start);
    return bytes.subarray(Math.max(0, next - start));
  }

  function receive(chunk: Buffer): void {
    const kept = unread();
    if (kept.length > maxKeptBytes) {
      stop();
      return;
    }
    start += bytes.length - kept.length;
    bytes = kept.length === 0 ? chunk : Buffer.concat([kept, chunk]);
  }

  function stop(): void {
    socket.off('data', receive);
    bytes = noBytes;
    isStopped = true;
  }

  function find(line: string): number {
    if (next === undefined) return bytes.indexOf(line, 0, 'latin1');
    const at = afterEmptyLines(bytes, next - start);
    return bytes.toString('latin1', at, at + line.length) === line ? at : -1;
  }

  // Prepended, to run before the parser. Without a `data` listener Node would pass the bytes to the parser directly.
  socket.prependListener('data', receive);
  return {
    isCanonical(request) {
      if (isStopped) return true;
      const line = `${request.method} ${request.url} HTTP/${request.httpVersion}\r\n`;
      const at = find(line);
      if (at === -1) return false;
      last = request;
      const bodyBytes = bodyLength(request);
      const body = bytes.indexOf('\r\n\r\n', at + line.length - 2) + 4;
      next = bodyBytes === undefined ? undefined : start + body + bodyBytes;
      // Otherwise a later search would find this line again.
      if (next === undefined) drop(body);
      return true;
    },
    unread,
    compact() {
      const kept = unread();
      start += bytes.length - kept.length;
      bytes = kept.length === 0 ? noBytes : Buffer.from(kept);
    },
    stop,
  };

  function drop(count: number): void {
    start += count;
    bytes = bytes.subarray(count);
  }
}

/** Some old clients send an empty line after a body. Servers should ignore it (RFC 9112 section 2.2). */
function afterEmptyLines(bytes: Buffer, from: number): number {
  let at = from;
  while (bytes[at] === carriageReturn && bytes[at + 1] === lineFeed) at += 2;
  return at;
}

/** Undefined for a chunked body, whose length only the parser knows. */
function bodyLength({ headers }: IncomingMessage): number | undefined {
  return headers['transfer-encoding'] === undefined ? Number(headers['content-length'] ?? 0) : undefined;
}
