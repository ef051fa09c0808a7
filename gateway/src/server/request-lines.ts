import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { AppError, type Code } from '../errors.ts';
import { maxTargetBytes } from '../routing/request-target.ts';

// The parser does not count the spaces around values, so its own limit bounds no head.
const maxHeadBytes = 64 * 1024;
const noBytes: Buffer = Buffer.alloc(0);
const carriageReturn = 0x0d;
const lineFeed = 0x0a;
const space = 0x20;
const endOfHead: Buffer = Buffer.from('\r\n\r\n');

/** `request line`: it is not in its one canonical form. */
export type LineProblem = 'request line' | 'long head';

/** What the next byte belongs to, once `#skip` bytes have passed. `lost`: only the parser knows. */
type LinePhase = 'head' | 'chunk size' | 'trailer' | 'lost';

/**
 * Checks the request lines of one connection byte by byte, which Node's parser does not expose.
 *
 * Node's parser accepts several spaces for one, `RTSP/1.0` for HTTP/1.0, and a bare CR for an empty line. RFC 9112 section 3 refuses them.
 * Services are safe, because the gateway writes its own request line. A proxy in front of the gateway may read such a line differently.
 *
 * The check follows the connection from the first byte: heads, bodies and chunks. A head of more than 64 KiB is refused, because the check
 * keeps an incomplete head.
 */
export class RequestLines {
  readonly #currentChunk: () => Buffer;
  readonly #refuseLongHead: () => void;
  /** The bytes from the first one whose meaning is not known yet. `#at` is the first unread one. */
  #bytes = noBytes;
  #at = 0;
  /** Bytes of a body that have not arrived. While there are any, `#bytes` is empty or read to its end. */
  #skip = 0;
  #phase: LinePhase = 'head';
  /** Whether `#bytes` holds the packet that the parser is reading. */
  #holdsChunk = false;
  #isStopped = false;

  /**
   * @param currentChunk Returns a copy of the packet that the parser is reading.
   * @param refuseLongHead Called once, when an incomplete head is too long. No later request may be served.
   */
  constructor(currentChunk: () => Buffer, refuseLongHead: () => void) {
    this.#currentChunk = currentChunk;
    this.#refuseLongHead = refuseLongHead;
  }

  /** Whether the connection is no longer checked. Requests that arrive later must not be served. */
  get isStopped(): boolean {
    return this.#isStopped;
  }

  /**
   * Checks that the request line was exactly `METHOD target HTTP/1.x`, with single spaces and only empty lines before it. Call it once for
   * each request, in order, when the parser reports the request.
   *
   * @returns What is wrong. No later request of the connection may be served then.
   */
  problemOf(request: IncomingMessage): LineProblem | undefined {
    const problem = this.#isStopped ? 'request line' : this.#readHead(request);
    if (problem !== undefined) this.stop();
    return problem;
  }

  #readHead(request: IncomingMessage): LineProblem | undefined {
    this.#takeChunk();
    this.#read();
    const start = this.#at;
    const end = endOfLine(this.#bytes, start, request);
    if (this.#phase !== 'head' || this.#skip > 0 || end === -1) return 'request line';
    this.#at = this.#bytes.indexOf(endOfHead, end - 2) + endOfHead.length;
    const { headers } = request;
    if (this.#at - start > maxHeadBytes) return 'long head';
    if (headers['transfer-encoding'] !== undefined) this.#phase = 'chunk size';
    else if (headers['content-length'] !== undefined) this.#skip = Number(headers['content-length']);
    return undefined;
  }

  /** Call it when the parser has read a packet of this many bytes. */
  chunkEnded(length: number): void {
    if (this.#isStopped) return;
    if (!this.#holdsChunk && this.#skip >= length) {
      this.#skip -= length;
      return;
    }
    this.#takeChunk();
    this.#read();
    if (this.#bytes.length - this.#at > maxHeadBytes) {
      this.#refuseLongHead();
      this.stop();
      return;
    }
    this.#holdsChunk = false;
    // A copy, so that a few bytes do not keep the whole packet in memory.
    this.#bytes = this.#at === this.#bytes.length ? noBytes : Buffer.from(this.#bytes.subarray(this.#at));
    this.#at = 0;
  }

  /** The bytes of an incomplete head. Call it while the parser reads a packet. */
  unread(): Buffer {
    if (this.#isStopped) return noBytes;
    this.#takeChunk();
    this.#read();
    return this.#bytes.subarray(this.#at);
  }

  /** Stops checking: the connection is no longer HTTP, or is about to close. */
  stop(): void {
    this.#bytes = noBytes;
    this.#at = 0;
    this.#isStopped = true;
  }

  #takeChunk(): void {
    if (this.#holdsChunk) return;
    this.#holdsChunk = true;
    const chunk = this.#currentChunk();
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
  }

  /** Reads up to the next head, or as far as the bytes go. */
  #read(): void {
    for (;;) {
      const skipped = Math.min(this.#skip, this.#bytes.length - this.#at);
      this.#at += skipped;
      this.#skip -= skipped;
      if (this.#skip > 0 || this.#phase === 'lost') return;
      if (this.#phase === 'head') {
        this.#at = afterEmptyLines(this.#bytes, this.#at);
        return;
      }
      const end = this.#bytes.indexOf(lineFeed, this.#at);
      if (end === -1) return;
      this.#readLine(this.#bytes.toString('latin1', this.#at, end));
      this.#at = end + 1;
    }
  }

  /** @param line A line of a chunked body, without its line feed. */
  #readLine(line: string): void {
    if (this.#phase === 'trailer') {
      if (line === '\r') this.#phase = 'head';
      return;
    }
    const size = Number.parseInt(line, 16);
    if (size > 0) this.#skip = size + '\r\n'.length;
    else this.#phase = size === 0 ? 'trailer' : 'lost';
  }
}

/**
 * Compares the bytes with the canonical line of a request. The parser has cut method and target at spaces, so the first space
 * is after the method only if nothing is before it, and one character after each space shows that there is one space.
 *
 * @returns The position after the line; -1 if the bytes are another line.
 */
function endOfLine(bytes: Buffer, start: number, { method = '', url = '', httpVersion }: IncomingMessage): number {
  const afterMethod = start + method.length;
  const afterUrl = afterMethod + 1 + url.length;
  const isCanonical =
    bytes[afterMethod] === space &&
    bytes[afterMethod + 1] === url.charCodeAt(0) &&
    bytes[afterUrl] === space &&
    isVersion(bytes, afterUrl + 1, httpVersion);
  return isCanonical ? afterUrl + 1 + versionLine.length : -1;
}

const versionLine = 'HTTP/1.1\r\n';

function isVersion(bytes: Buffer, from: number, httpVersion: string): boolean {
  const line = httpVersion === '1.1' ? versionLine : `HTTP/${httpVersion}\r\n`;
  for (let at = 0; at < line.length; at += 1) if (bytes[from + at] !== line.charCodeAt(at)) return false;
  return true;
}

/** Some old clients send an empty line after a body. Servers should ignore it (RFC 9112 section 2.2). */
function afterEmptyLines(bytes: Buffer, from: number): number {
  let at = from;
  while (bytes[at] === carriageReturn && bytes[at + 1] === lineFeed) at += 2;
  return at;
}

/** Node's parser of one connection. It reads the socket itself, and its callbacks run while it holds the packet. */
type Parser = {
  [callback: number]: (result: number | Error) => void;
  readonly _consumed?: boolean;
  getCurrentBuffer?(): Buffer;
};

/**
 * Checks the request lines of a connection that has just been accepted.
 *
 * The parser reads the socket in C++, and gives a copy of the packet that it reads. That costs 1 to 2 µs a request. A `data` listener would
 * make all bytes pass through JavaScript streams, which costs 5 to 7 µs. It remains for sockets that the parser cannot read itself.
 */
export function trackRequestLines(socket: Duplex, refuseLongHead: () => void): RequestLines {
  const { parser } = socket as Duplex & { parser?: Parser };
  const { kOnExecute } = (parser?.constructor ?? {}) as { kOnExecute?: number };
  if (parser?._consumed !== true || parser.getCurrentBuffer === undefined || kOnExecute === undefined) {
    return trackStream(socket, refuseLongHead);
  }
  const lines = new RequestLines(() => (parser as Required<Parser>).getCurrentBuffer(), refuseLongHead);
  const proceed = parser[kOnExecute] as Parser[number];
  parser[kOnExecute] = (result) => {
    // First, because the parser drops the packet before it reports an upgrade.
    if (typeof result === 'number') lines.chunkEnded(result);
    proceed(result);
  };
  return lines;
}

function trackStream(socket: Duplex, refuseLongHead: () => void): RequestLines {
  let chunk = noBytes;
  const lines = new RequestLines(() => chunk, refuseLongHead);
  const endChunk = () => {
    if (chunk.length > 0) lines.chunkEnded(chunk.length);
    chunk = noBytes;
  };
  // Prepended, to run before the parser's own listener, which reads the chunk.
  socket.prependListener('data', (next: Buffer) => {
    endChunk();
    chunk = next;
    queueMicrotask(endChunk);
  });
  return lines;
}

/** The refusal of a request whose line or head has this problem. */
export function refusalForLine(problem: LineProblem | undefined): AppError | undefined {
  if (problem === undefined) return undefined;
  const code = problem === 'long head' ? 'headers_too_large' : 'invalid_request';
  return new AppError(code, { detail: { reason: problem }, headers: { connection: 'close' } });
}

/** The error code for a request that the parser could not read. */
export function codeForParseError({ code }: NodeJS.ErrnoException, lines: RequestLines | undefined): Code {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return isLongTarget(lines?.unread()) ? 'uri_too_long' : 'headers_too_large';
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return 'request_timeout';
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return 'payload_too_large';
    default:
      return 'invalid_request';
  }
}

/** Whether the request line is longer than the longest target. */
function isLongTarget(received: Buffer | undefined): boolean {
  if (received === undefined || !/^[A-Z]+ /.test(received.toString('latin1', 0, 16))) return false;
  const end = received.indexOf('\n');
  return end === -1 || end > maxTargetBytes;
}
