/** The error codes of RFC 8935 section 2.4. */
export type SignalErrorCode =
  | 'invalid_request'
  | 'invalid_key'
  | 'invalid_issuer'
  | 'invalid_audience'
  | 'authentication_failed';

/** A token that is refused. The message says why, without any part of the token. */
export class SignalError extends Error {
  override readonly name = 'SignalError';
  readonly code: SignalErrorCode;

  constructor(code: SignalErrorCode, message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}
