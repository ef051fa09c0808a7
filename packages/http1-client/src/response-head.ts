import { trimOws } from '@countersign/jwks';
import { invalidResponse } from './http-client-error.ts';
import { tokenCharacters } from './token.ts';

// The longest status line that is accepted, including its reason.
const maxStatusLineBytes = 1024;

// Latin-1 text. A reason or field value may contain no control character except tab (RFC 9110 section 5.5).
const statusLine = /HTTP\/1\.[01] [1-9][0-9]{2}(?: [\t\x20-\x7e\x80-\xff]*)?\r\n/y;
const startOfStatusLine = /^HTTP\/1\.[01] [1-9][0-9]{2}(?: [\t\x20-\x7e\x80-\xff]*)?\r?$/;
const fieldLines = new RegExp(String.raw`(?:[${tokenCharacters}]+:[\t\x20-\x7e\x80-\xff]*\r\n)*`, 'y');
const startOfFieldLine = new RegExp(String.raw`^(?:[${tokenCharacters}]+(?::[\t\x20-\x7e\x80-\xff]*\r?)?|\r)?$`);
const startOfNamedLine = new RegExp(String.raw`^(?:[${tokenCharacters}]+:|\r)`);

/**
 * Reads `HTTP/1.x NNN reason CRLF`. The reason is optional, and so is the space before it, which some services omit.
 * Refuses text that cannot become a status line immediately, so that a peer with another protocol does not have to
 * time out.
 *
 * @returns The position after the line, or 0 if the line is incomplete.
 * @throws HttpClientError
 */
export function readStatusLine(text: string): number {
  statusLine.lastIndex = 0;
  const end = statusLine.test(text) ? statusLine.lastIndex : 0;
  if (end === 0) refuseStatusLine(text);
  if ((end === 0 ? text.length : end - 2) > maxStatusLineBytes) throw invalidResponse('a status line that is too long');
  return end;
}

/** @throws HttpClientError unless more text can complete the line. */
function refuseStatusLine(text: string): void {
  const line = text + 'HTTP/1.1 200'.slice(text.length);
  if (!startOfStatusLine.test(line)) throw invalidResponse('an invalid status line');
}

/** @returns The position after the last whole line, where the empty line or an unfinished line starts. */
export function readFieldLines(text: string, from: number, fields: string[]): number {
  fieldLines.lastIndex = from;
  fieldLines.test(text);
  const end = fieldLines.lastIndex;
  for (let at = from; at < end; ) {
    const colon = text.indexOf(':', at);
    const lineEnd = text.indexOf('\r', colon);
    let valueStart = colon + 1;
    let valueEnd = lineEnd;
    while (valueStart < valueEnd && isBlank(text.charCodeAt(valueStart))) valueStart += 1;
    while (valueEnd > valueStart && isBlank(text.charCodeAt(valueEnd - 1))) valueEnd -= 1;
    fields.push(text.slice(at, colon), text.slice(valueStart, valueEnd));
    // Node's parser reads "chunked" followed by a tab as an unknown coding.
    if (text.charCodeAt(lineEnd - 1) === tab && /^transfer-encoding$/i.test(fields.at(-2) ?? '')) {
      throw invalidResponse('a tab after a transfer coding');
    }
    at = lineEnd + 2;
  }
  if (!text.startsWith('\r\n', end)) refuseFieldLine(text.slice(end));
  return end;
}

const tab = 9;
const isBlank = (char: number): boolean => char === 32 || char === tab;

/** @throws HttpClientError unless more text can complete the line. */
function refuseFieldLine(line: string): void {
  if (startOfFieldLine.test(line)) return;
  throw invalidResponse(startOfNamedLine.test(line) ? 'an invalid byte in a field value' : 'an invalid field name');
}

/** How to find the end of a response body (RFC 9112 section 6.3). */
export type Framing = 'none' | 'length' | 'chunked' | 'until-close';

export class ResponseFraming {
  framing: Framing = 'none';
  length = 0;
  /** Whether the connection may carry another request after this response. */
  mayReuse = false;
  /** Whether the head announces a body that must not follow. A faulty service sends that body anyway. */
  mayBeFollowed = false;
  keepAlive: string | undefined;

  #lengthValue: string | undefined;
  #coding: string | undefined;
  #isClose = false;

  /** @param minor 0 for HTTP/1.0, 1 for HTTP/1.1. A response to HEAD has no body. */
  read(method: string, status: number, minor: number, fields: readonly string[]): void {
    this.#lengthValue = undefined;
    this.#coding = undefined;
    this.#isClose = false;
    this.mayReuse = minor === 1;
    this.keepAlive = undefined;
    for (let at = 0; at < fields.length; at += 2) {
      this.#readField(fields[at] as string, fields[at + 1] as string);
    }
    if (this.#isClose) this.mayReuse = false;
    this.#decide(method, status, minor);
  }

  /** Compares only names with lengths that matter here. */
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
    if (value === 'keep-alive') this.mayReuse = true;
    else {
      const options = value.split(',').map((option) => trimOws(option).toLowerCase());
      if (options.includes('close')) this.#isClose = true;
      if (options.includes('keep-alive')) this.mayReuse = true;
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
      // A service that sends a body here would send it before the next response.
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
  }
}

/** Compares a name in any case with a lower-case name of the same length. */
const isName = (name: string, lower: string): boolean => name === lower || name.toLowerCase() === lower;

const maxIdleMs = 600_000;

/** In milliseconds, and a second less than the service's `Keep-Alive`: no request meets a closing connection. */
export function idleTimeMs(keepAliveTimeout: number, keepAlive: string | undefined): number {
  if (keepAlive === undefined || keepAliveTimeout === 0) return keepAliveTimeout;
  if (keepAlive !== lastKeepAlive) {
    lastSeconds = /(?:^|[\t ,;])timeout[\t ]*=[\t ]*"?([0-9]{1,9})(?![0-9])/i.exec(keepAlive)?.[1];
    lastKeepAlive = keepAlive;
  }
  return lastSeconds === undefined ? keepAliveTimeout : Math.min(Number(lastSeconds) * 1000 - 1000, maxIdleMs);
}

// Cached, because a service sends the same value each time.
let lastKeepAlive = '';
let lastSeconds: string | undefined;
