/**
 * Why an exchange failed. Errors of the system and of TLS keep their own codes, e.g. `ECONNREFUSED` or
 * `CERT_HAS_EXPIRED`.
 */
export type ExchangeErrorCode =
  /** No connection, TLS included, within `connectTimeoutMs`. */
  | 'UPSTREAM_CONNECT_TIMEOUT'
  /** The request is complete, or the service stopped reading it, and no response head came within `headersTimeout`. */
  | 'UPSTREAM_HEAD_TIMEOUT'
  /** No byte of the response body came within `bodyTimeout`. */
  | 'UPSTREAM_BODY_TIMEOUT'
  /** The service closed the connection before the response was complete. */
  | 'UPSTREAM_CLOSED'
  /** The response violates HTTP/1.1; the message names the violation. */
  | 'UPSTREAM_INVALID_RESPONSE'
  /** The head or body of the response exceeds a limit. */
  | 'UPSTREAM_RESPONSE_TOO_LARGE'
  /** The request cannot be written as HTTP/1.1, e.g. because a value contains CR, LF or NUL. Nothing was sent. */
  | 'UPSTREAM_INVALID_REQUEST'
  /** The request body has more or fewer bytes than its `Content-Length`. */
  | 'UPSTREAM_BODY_LENGTH'
  /** The stream of the request body closed before its end. */
  | 'UPSTREAM_BODY_ABORTED'
  /** The pool is closed. Nothing was sent. */
  | 'UPSTREAM_POOL_CLOSED';

/** Carries a stable code. The message is for logs; it contains no bytes of a request or response. */
export class ExchangeError extends Error {
  readonly code: ExchangeErrorCode;

  constructor(code: ExchangeErrorCode, message: string) {
    super(message);
    this.name = 'ExchangeError';
    this.code = code;
  }
}

/** @param violation Completes "the response has …". */
export const invalidResponse = (violation: string): ExchangeError =>
  new ExchangeError('UPSTREAM_INVALID_RESPONSE', `the response has ${violation}`);
