import { invalidResponse } from './exchange-error.ts';

const cr = 13;
const lf = 10;
const space = 32;
const tab = 9;
const colon = 58;

// The longest status line that is read, with its reason.
const maxStatusLineBytes = 1024;
const http = Buffer.from('HTTP/1.');
const isDigit = (byte: number | undefined): boolean => byte !== undefined && byte >= 48 && byte <= 57;

/** A status line. */
export type StatusLine = {
  status: number;
  /** 0 for HTTP/1.0, 1 for HTTP/1.1. */
  minor: number;
};

/**
 * Reads `HTTP/1.x NNN reason CRLF`. Bytes that cannot become one are refused at once, so that another protocol does not
 * wait for a timeout.
 *
 * @returns The position after the line; `from` if it is incomplete.
 * @throws ExchangeError
 */
export function readStatusLine(bytes: Buffer, from: number, end: number, line: StatusLine): number {
  const size = end - from;
  for (let at = 0; at < http.length && at < size; at += 1) {
    if (bytes[from + at] !== http[at]) throw invalidResponse('no HTTP/1 status line');
  }
  if (size > 7 && bytes[from + 7] !== 48 && bytes[from + 7] !== 49) throw invalidResponse('an unknown version');
  if (size > 8 && bytes[from + 8] !== space) throw invalidResponse('an invalid status line');
  for (let at = 9; at < 12 && at < size; at += 1) {
    if (!isDigit(bytes[from + at])) throw invalidResponse('an invalid status');
  }
  if (size < 13) return from;
  line.minor = (bytes[from + 7] as number) - 48;
  line.status =
    (bytes[from + 9] as number) * 100 + (bytes[from + 10] as number) * 10 + (bytes[from + 11] as number) - 5328;
  if (line.status < 100) throw invalidResponse('an invalid status');
  return readReason(bytes, from, end);
}

/** The reason is optional, and so is the space before it, which some services omit. */
function readReason(bytes: Buffer, from: number, end: number): number {
  let at = from + 12;
  if (bytes[at] === space) {
    at += 1;
    while (at < end && isReason(bytes[at] as number)) at += 1;
  }
  if (at - from > maxStatusLineBytes) throw invalidResponse('a status line that is too long');
  if (at < end && bytes[at] !== cr) throw invalidResponse('an invalid byte in the status line');
  if (at + 1 >= end) return from;
  if (bytes[at + 1] !== lf) throw invalidResponse('a CR without LF');
  return at + 2;
}

const isReason = (byte: number): boolean => (byte >= 32 && byte !== 127) || byte === 9;

const codingNameLength = 'transfer-encoding'.length;

/** 1 for each byte of a token (RFC 9110 section 5.6.2). */
const isToken = new Uint8Array(256);
for (const char of "!#$%&'*+-.^_`|~") isToken[char.charCodeAt(0)] = 1;
for (let byte = 0; byte < 128; byte += 1) if (/[0-9A-Za-z]/.test(String.fromCharCode(byte))) isToken[byte] = 1;

/** 1 for each byte of a field value (RFC 9110 section 5.5): no control character but the tab. */
const isValue = new Uint8Array(256).fill(1, space, 256);
isValue[tab] = 1;
isValue[127] = 0;

// A field line has at least four bytes, so a head of 64 KiB has no more lines than this.
const maxFields = 16 * 1024;
// Start and end of each name, start and end of each value. Only one scan runs at a time.
const offsets = new Int32Array(maxFields * 4);

/** Reads the field lines of a head or of trailers. One instance serves one connection. */
export class FieldLines {
  /** The empty line was read. */
  isComplete = false;
  /** A value of this head was followed by a tab. Set until `start`. */
  hasTrailingTab = false;

  /** Begins another head. */
  start(): void {
    this.hasTrailingTab = false;
  }

  /**
   * Reads whole lines and appends their names and values.
   *
   * @returns The position after the last whole line. Bytes after it are the start of a line, unless `isComplete`.
   * @throws ExchangeError
   */
  read(bytes: Buffer, from: number, end: number, fields: string[]): number {
    this.isComplete = false;
    let at = from;
    let filled = 0;
    while (at < end) {
      const next = this.#scanLine(bytes, at, end, filled);
      if (next === at) break;
      at = next;
      if (this.isComplete) break;
      filled += 4;
    }
    if (filled > 0) append(bytes.toString('latin1', from, at), from, filled, fields);
    return at;
  }

  /** @returns The position after the line; `at` if the line is incomplete. */
  #scanLine(bytes: Buffer, at: number, end: number, filled: number): number {
    let here = at;
    while (here < end && isToken[bytes[here] as number] === 1) here += 1;
    if (here === end) return at;
    if (here === at) return this.#scanLastLine(bytes, at, end);
    if (bytes[here] !== colon) throw invalidResponse('an invalid field name');
    offsets[filled] = at;
    offsets[filled + 1] = here;
    here += 1;
    while (here < end && isBlank(bytes[here])) here += 1;
    const valueStart = here;
    while (here < end && isValue[bytes[here] as number] === 1) here += 1;
    if (here < end && bytes[here] !== cr) throw invalidResponse('an invalid byte in a field value');
    if (here + 1 >= end) return at;
    if (bytes[here + 1] !== lf) throw invalidResponse('a CR without LF');
    let valueEnd = here;
    while (valueEnd > valueStart && isBlank(bytes[valueEnd - 1])) valueEnd -= 1;
    const nameLength = (offsets[filled + 1] as number) - at;
    if (bytes[here - 1] === tab && nameLength === codingNameLength) this.hasTrailingTab = true;
    offsets[filled + 2] = valueStart;
    offsets[filled + 3] = valueEnd;
    return here + 2;
  }

  #scanLastLine(bytes: Buffer, at: number, end: number): number {
    // A blank here is obsolete line folding (RFC 9112 section 5.2).
    if (bytes[at] !== cr) throw invalidResponse(isBlank(bytes[at]) ? 'a folded line' : 'an invalid field name');
    if (at + 1 >= end) return at;
    if (bytes[at + 1] !== lf) throw invalidResponse('a CR without LF');
    this.isComplete = true;
    return at + 2;
  }
}

const isBlank = (byte: number | undefined): boolean => byte === space || byte === tab;

/** Slices all names and values from one string, which is cheaper than decoding each of them. */
function append(text: string, from: number, filled: number, fields: string[]): void {
  for (let at = 0; at < filled; at += 2) {
    fields.push(text.slice((offsets[at] as number) - from, (offsets[at + 1] as number) - from));
  }
}

/** How the end of a response body is found (RFC 9112 section 6.3). */
export type Framing = 'none' | 'length' | 'chunked' | 'until-close';

/** What the head of a response says about its body and its connection. */
export class ResponseFraming {
  framing: Framing = 'none';
  /** Of the body, for framing `length`. */
  length = 0;
  /** The connection may carry another request after this response. */
  mayReuse = false;
  /** The head announces a body that must not follow. A faulty service sends it nevertheless. */
  mayBeFollowed = false;
  /** The value of `Keep-Alive`. */
  keepAlive: string | undefined;

  #lengthValue: string | undefined;
  #coding: string | undefined;
  #isClose = false;
  #isKeepAlive = false;

  /**
   * Reads a final or informational head.
   *
   * @param method Of the request. A response to HEAD has no body.
   * @param minor 0 for HTTP/1.0, 1 for HTTP/1.1.
   * @param fields Alternating names and values.
   * @throws ExchangeError
   */
  read(method: string, status: number, minor: number, fields: readonly string[]): void {
    this.#lengthValue = undefined;
    this.#coding = undefined;
    this.#isClose = false;
    this.#isKeepAlive = false;
    this.keepAlive = undefined;
    for (let at = 0; at < fields.length; at += 2) {
      this.#readField(fields[at] as string, fields[at + 1] as string);
    }
    this.mayReuse = !this.#isClose && (minor === 1 || this.#isKeepAlive);
    this.#decide(method, status, minor);
  }

  /** Only names of these lengths matter here, so that other names are not compared. */
  #readField(name: string, value: string): void {
    switch (name.length) {
      case 10:
        if (isName(name, 'connection')) this.#readConnection(value);
        else if (isName(name, 'keep-alive')) this.keepAlive = value;
        return;
      case 14:
        if (!isName(name, 'content-length')) return;
        if (this.#lengthValue !== undefined) throw invalidResponse('two lengths');
        this.#lengthValue = value;
        return;
      case 16:
        if (isName(name, 'proxy-connection')) this.#readConnection(value);
        return;
      case 17:
        if (!isName(name, 'transfer-encoding')) return;
        if (this.#coding !== undefined) throw invalidResponse('two transfer codings');
        this.#coding = value;
        return;
      default:
        return;
    }
  }

  #readConnection(value: string): void {
    if (value === 'keep-alive') {
      this.#isKeepAlive = true;
      return;
    }
    for (const option of value.split(',')) {
      const name = option.trim().toLowerCase();
      if (name === 'close') this.#isClose = true;
      else if (name === 'keep-alive') this.#isKeepAlive = true;
    }
  }

  #decide(method: string, status: number, minor: number): void {
    const coding = this.#coding;
    const value = this.#lengthValue;
    if (value !== undefined && !/^[0-9]{1,15}$/.test(value)) throw invalidResponse('an invalid length');
    this.length = value === undefined ? 0 : Number(value);
    this.framing = 'none';
    this.mayBeFollowed = false;
    if (coding !== undefined) {
      if (value !== undefined) throw invalidResponse('a length and a transfer coding');
      if (coding.toLowerCase() !== 'chunked') throw invalidResponse('an unknown transfer coding');
      if (minor === 0) throw invalidResponse('a transfer coding in HTTP/1.0');
    }
    if (status < 200 || status === 204) {
      if (coding !== undefined) throw invalidResponse('a transfer coding without a body');
      // A service that counts a body here would send it before the next response.
      if (this.length > 0) this.mayReuse = false;
      return;
    }
    if (method === 'HEAD' || status === 304) {
      this.mayBeFollowed = method === 'HEAD' || coding !== undefined || this.length > 0;
      return;
    }
    if (coding !== undefined) this.framing = 'chunked';
    else if (value === undefined) {
      this.framing = 'until-close';
      this.mayReuse = false;
    } else if (this.length > 0) this.framing = 'length';
    return;
  }
}

/** Compares a name in any case with one in lower case of the same length. */
const isName = (name: string, lower: string): boolean => name === lower || name.toLowerCase() === lower;
