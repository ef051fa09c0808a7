/**
 * Why an exchange failed. Errors of the system and of TLS keep their own codes, e.g. `ECONNREFUSED` or
 * `CERT_HAS_EXPIRED`.
 */
export type ClientErrorCode =
  /** No connection, TLS included, within `connectTimeoutMs`. */
  | 'CLIENT_CONNECT_TIMEOUT'
  /** No connection became free within `queueTimeoutMs`. */
  | 'CLIENT_QUEUE_TIMEOUT'
  /** The request is complete, or the service stopped reading it, and no response head came within `headTimeoutMs`. */
  | 'CLIENT_HEAD_TIMEOUT'
  /** No byte of the response body came within `bodyTimeoutMs`. */
  | 'CLIENT_BODY_TIMEOUT'
  /** The service closed the connection before the response was complete. */
  | 'CLIENT_CLOSED'
  /** The response violates HTTP/1.1; the message names the violation. */
  | 'CLIENT_INVALID_RESPONSE'
  /** The head or body of the response exceeds a limit. */
  | 'CLIENT_RESPONSE_TOO_LARGE'
  /** The request cannot be written as HTTP/1.1, e.g. because a value contains CR, LF or NUL. Nothing was sent. */
  | 'CLIENT_INVALID_REQUEST'
  /** The request body has more or fewer bytes than `bodyLength`. */
  | 'CLIENT_BODY_LENGTH'
  /** The stream of the request body closed before its end. */
  | 'CLIENT_BODY_ABORTED'
  /** The pool is closed. Nothing was sent. */
  | 'CLIENT_POOL_CLOSED';

/** Carries a stable code. The message is for logs; it contains no bytes of a request or response. */
export class ClientError extends Error {
  readonly code: ClientErrorCode;

  constructor(code: ClientErrorCode, message: string) {
    super(message);
    this.name = 'ClientError';
    this.code = code;
  }
}
