/** System and TLS errors keep their own codes, such as `ECONNREFUSED` or `CERT_HAS_EXPIRED`. */
export type HttpClientErrorCode =
  /** No connection, including TLS, was made within `connectTimeoutMs`. */
  | 'UPSTREAM_CONNECT_TIMEOUT'
  /** No response head came in time after the request was complete or the service stopped reading it. */
  | 'UPSTREAM_HEAD_TIMEOUT'
  /** No response body byte came within `bodyTimeout`. */
  | 'UPSTREAM_BODY_TIMEOUT'
  /** The service closed the connection before the response was complete. */
  | 'UPSTREAM_CLOSED'
  /** The response violates HTTP/1.1. The message names the violation. */
  | 'UPSTREAM_INVALID_RESPONSE'
  /** The response head or body exceeds a limit. */
  | 'UPSTREAM_RESPONSE_TOO_LARGE'
  /** The request cannot be written as HTTP/1.1, such as a value that contains CR, LF or NUL. Nothing was sent. */
  | 'UPSTREAM_INVALID_REQUEST'
  /** The request body has more or fewer bytes than its `Content-Length`. */
  | 'UPSTREAM_BODY_LENGTH'
  /** The request body's stream closed before its end. */
  | 'UPSTREAM_BODY_ABORTED'
  /** The pool is closed. Nothing was sent. */
  | 'UPSTREAM_POOL_CLOSED';

/** An error with a stable code. The message is for logs and contains no bytes from a request or response. */
export class HttpClientError extends Error {
  readonly code: HttpClientErrorCode;

  constructor(code: HttpClientErrorCode, message: string) {
    super(message);
    this.name = 'HttpClientError';
    this.code = code;
  }
}

/** @param violation Completes "the response has …". */
export const invalidResponse = (violation: string): HttpClientError =>
  new HttpClientError('UPSTREAM_INVALID_RESPONSE', `the response has ${violation}`);
