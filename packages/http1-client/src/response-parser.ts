import { HttpClientError, invalidResponse } from './http-client-error.ts';
import { ResponseFraming, readFieldLines, readStatusLine } from './response-head.ts';
import { tokenCharacters } from './token.ts';

/** Receives the parts of a response as they are read, until `stop`. */
export interface ResponseReceiver {
  /** @param fields Alternating names and values, without surrounding whitespace. */
  receiveHead(status: number, fields: string[]): void;
  /** Called at most once per call of `read`. `bytes` may be overwritten after it returns. */
  receiveData(bytes: Buffer, start: number, end: number): void;
  /** @param trailers Alternating names and values. */
  receiveEnd(trailers: string[]): void;
}

type State =
  /** No response is expected. */
  | 'idle'
  | 'status-line'
  | 'fields'
  | 'length'
  | 'until-close'
  | 'chunk-line'
  | 'chunk-data'
  | 'chunk-end'
  | 'trailers'
  /** The response is complete, but `receiveEnd` has not been called yet. */
  | 'ended';

/** The limit for a head, and for trailers. */
export const maxHeadBytes = 16 * 1024;
/** The limit for informational responses before the final one. */
const maxInformational = 9;
const emptyLine = Buffer.from('\r\n\r\n');
const none: string[] = [];
const cr = 13;
const lf = 10;

/** Accepts a strict subset of what Node's parser accepts, and reads it the same way. */
export class ResponseParser {
  readonly #receiver: ResponseReceiver;
  /** What the last head says. `mayReuse` is final once `receiveEnd` is called. */
  readonly framing = new ResponseFraming();
  #state: State = 'idle';
  #method = 'GET';
  #status = 0;
  /** 0 for HTTP/1.0, 1 for HTTP/1.1. */
  #minor = 1;
  #fields: string[] = none;
  /** The start of an unfinished line. */
  #carry: Buffer | undefined;
  /** How many bytes the head or the trailers may still have. */
  #bytesLeft = maxHeadBytes;
  #informational = 0;
  /** How many bytes are left in the body or the chunk. */
  #left = 0;
  /** Where the body bytes of one read start. They are joined, so that many small chunks become one piece of data. */
  #dataStart = 0;
  #dataEnd = 0;

  constructor(receiver: ResponseReceiver) {
    this.#receiver = receiver;
  }

  /** Expects the response to a request with this method. */
  expect(method: string): void {
    this.#method = method;
    this.#informational = 0;
    this.#expectLines('status-line');
  }

  /** Delivers nothing more, not even from the bytes that are being read. */
  stop(): void {
    this.#state = 'idle';
    this.#carry = undefined;
    this.framing.mayReuse = false;
  }

  /** @param length Only this many bytes of `received` count, and they may change. Throws what the receiver throws. */
  read(received: Buffer, length: number): void {
    if (this.#state === 'idle') throw invalidResponse('bytes without a request');
    const carry = this.#carry;
    const bytes = carry === undefined ? received : Buffer.concat([carry, received.subarray(0, length)]);
    const end = carry === undefined ? length : bytes.length;
    this.#carry = undefined;
    this.#dataEnd = 0;
    let at = 0;
    while (at < end && this.#state !== 'ended') {
      const next = this.#step(bytes, at, end);
      if (next === at || this.#isStopped()) break;
      at = next;
    }
    if (this.#isStopped()) return;
    if (this.#dataEnd > 0) {
      this.#receiver.receiveData(bytes, this.#dataStart, this.#dataEnd);
      if (this.#isStopped()) return;
    }
    if (this.#state === 'ended') this.#finish(at < end);
    else if (at < end) this.#carry = Buffer.from(bytes.subarray(at, end));
  }

  /** Returns whether this completed the response. `isClean`: a FIN and, with TLS, `close_notify` arrived. */
  endOfConnection(isClean: boolean): boolean {
    if (this.#state !== 'until-close' || !isClean) return false;
    this.#state = 'idle';
    this.#receiver.receiveEnd(none);
    return true;
  }

  #isStopped(): boolean {
    return this.#state === 'idle';
  }

  #expectLines(state: State): void {
    this.#state = state;
    this.#fields = [];
    this.#bytesLeft = maxHeadBytes;
  }

  /** @returns The position after what was read, or `at` if more bytes are needed. */
  #step(bytes: Buffer, at: number, end: number): number {
    switch (this.#state) {
      case 'status-line':
      case 'fields':
      case 'trailers':
        return this.#readLines(bytes, at, end);
      case 'length':
        return this.#readData(bytes, at, end, 'ended');
      case 'chunk-line':
        return this.#readChunkLine(bytes, at, end);
      case 'chunk-data':
        return this.#readData(bytes, at, end, 'chunk-end');
      case 'chunk-end':
        return this.#readChunkEnd(bytes, at, end);
      default:
        // With `until-close`, all bytes are data.
        this.#left = end - at;
        return this.#readData(bytes, at, end, this.#state);
    }
  }

  /** Reads whole lines, up to and including an empty one. */
  #readLines(bytes: Buffer, at: number, end: number): number {
    const limit = Math.min(end, at + this.#bytesLeft);
    // Finding the end of the head first costs less than decoding a long body after it.
    const blank = limit - at > maxHeadBytes / 8 ? bytes.indexOf(emptyLine, at) : -1;
    const text = bytes.toString('latin1', at, blank === -1 ? limit : Math.min(limit, blank + emptyLine.length));
    let next = 0;
    if (this.#state === 'status-line') {
      next = readStatusLine(text);
      if (next === 0) return at;
      this.#status = Number(text.slice(9, 12));
      this.#minor = Number(text[7]);
      this.#state = 'fields';
    }
    next = readFieldLines(text, next, this.#fields);
    const isComplete = text.startsWith('\r\n', next);
    if (isComplete) next += 2;
    else if (limit < end)
      throw new HttpClientError('UPSTREAM_RESPONSE_TOO_LARGE', 'the response has too many header bytes');
    this.#bytesLeft -= next;
    if (isComplete && this.#state === 'trailers') this.#endTrailers();
    else if (isComplete) this.#endHead();
    return at + next;
  }

  #endHead(): void {
    const status = this.#status;
    this.framing.read(this.#method, status, this.#minor, this.#fields);
    if (status < 200) {
      this.#endInformational(status);
      return;
    }
    const { framing } = this.framing;
    this.#left = this.framing.length;
    this.#state = framing === 'none' ? 'ended' : framing === 'chunked' ? 'chunk-line' : framing;
    const fields = this.#fields;
    this.#fields = none;
    this.#receiver.receiveHead(status, fields);
  }

  /** Skips an informational response. A client may ignore a 1xx that it did not ask for (RFC 9110 section 15.2). */
  #endInformational(status: number): void {
    if (status === 101) throw invalidResponse('a 101 to a request without Upgrade');
    if (!this.framing.mayReuse) throw invalidResponse('an informational response that closes the connection');
    this.#informational += 1;
    if (this.#informational > maxInformational) throw invalidResponse('too many informational responses');
    this.#expectLines('status-line');
  }

  #readData(bytes: Buffer, at: number, end: number, after: State): number {
    const size = Math.min(this.#left, end - at);
    if (this.#dataEnd === 0) {
      this.#dataStart = at;
      this.#dataEnd = at;
    } else if (this.#dataEnd !== at) bytes.copyWithin(this.#dataEnd, at, at + size);
    this.#dataEnd += size;
    this.#left -= size;
    if (this.#left === 0) this.#state = after;
    return at + size;
  }

  #readChunkLine(bytes: Buffer, at: number, end: number): number {
    const lineEnd = bytes.indexOf(lf, at) + 1;
    const limit = Math.min(lineEnd === 0 ? end : lineEnd, end, at + maxChunkLineBytes + 3);
    const size = chunkSize(bytes.toString('latin1', at, limit));
    if (size === undefined) return at;
    this.#left = size;
    if (size > 0) this.#state = 'chunk-data';
    else this.#expectLines('trailers');
    return limit;
  }

  #readChunkEnd(bytes: Buffer, at: number, end: number): number {
    const isWhole = at + 1 < end;
    if (bytes[at] !== cr || (isWhole && bytes[at + 1] !== lf))
      throw invalidResponse('a chunk that does not end with CRLF');
    if (!isWhole) return at;
    this.#state = 'chunk-line';
    return at + 2;
  }

  #endTrailers(): void {
    for (let at = 0; at < this.#fields.length; at += 2) {
      const name = this.#fields[at]?.toLowerCase();
      // These fields must not be trailers, because they affect the whole message (RFC 9110 section 6.5.1).
      if (name === 'content-length' || name === 'transfer-encoding') throw invalidResponse(`${name} in the trailers`);
    }
    this.#state = 'ended';
  }

  /** @param hasMore Whether bytes follow the response, although no request was sent for them. */
  #finish(hasMore: boolean): void {
    if (hasMore) this.framing.mayReuse = false;
    this.#state = 'idle';
    this.#receiver.receiveEnd(this.#fields);
  }
}

/** The longest line with a chunk size. Extensions are ignored, and no service needs long ones. */
const maxChunkLineBytes = 512;

// 13 hex digits are at most 2^52 - 1, so a size is always a safe integer.
const size = '[0-9A-Fa-f]{1,13}';
// Names and values without surrounding whitespace, as llhttp accepts them (RFC 9112 section 7.1.1).
const extension = `;[${tokenCharacters}]+(?:=(?:[${tokenCharacters}]+|"[\\t !#-[\\]-~]*"))?`;
const wholeLine = new RegExp(`^${size}(?:${extension})*\r\n`);
const startOfLine = new RegExp(`^(?:${size}(?:;[^\r]*)?)?\r?$`);

/** @param text Latin-1, up to the end of the line or of what has arrived. Undefined if the line is incomplete. */
function chunkSize(text: string): number | undefined {
  if (text.length > maxChunkLineBytes + 2) throw invalidResponse('a chunk extension that is too long');
  if (wholeLine.test(text)) return Number.parseInt(text, 16);
  if (startOfLine.test(text)) return undefined;
  throw invalidResponse('an invalid line before a chunk');
}
