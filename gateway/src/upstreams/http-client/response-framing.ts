import { invalidResponse } from './exchange-error.ts';

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
  /** How long the service keeps an idle connection, from `Keep-Alive: timeout`, in seconds. */
  keepAliveSec: number | undefined;

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
    this.keepAliveSec = undefined;
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
        else if (isName(name, 'keep-alive')) this.keepAliveSec = keepAliveOf(value);
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

function keepAliveOf(value: string): number | undefined {
  const seconds = /(?:^|[\s,;])timeout\s*=\s*"?([0-9]{1,9})(?![0-9])/i.exec(value)?.[1];
  return seconds === undefined ? undefined : Number(seconds);
}
