/** The side that caused an error. Operators page on `ours`, `upstream` and `configuration`, never on `caller`. */
export type Fault = 'caller' | 'configuration' | 'capacity' | 'upstream' | 'ours';

/** What one stable code means to the client. `title` is public and must not reveal internals. */
export type ErrorEntry = Readonly<{
  /** HTTP status, 400 to 599. */
  status: number;
  fault: Fault;
  title: string;
  /** Sent as `Retry-After`, in whole seconds (RFC 9110 section 10.2.3). */
  retryAfterSec?: number;
}>;

export type ErrorTable = Readonly<Record<string, ErrorEntry>>;

/** One problem with one request field, safe to show. `path` is the wire name, such as `items.0.title`. */
export type FieldError = Readonly<{ path: string; message: string }>;

export type ErrorOptions = Readonly<{
  cause?: unknown;
  /** Logged, never sent to the client. Must not hold a token, password, key or signature. */
  detail?: Readonly<Record<string, unknown>>;
  /** Sent to the client: the invalid fields. */
  errors?: readonly FieldError[];
  /** Extra response headers, such as `www-authenticate`. */
  headers?: Readonly<Record<string, string>>;
}>;

/**
 * An error with a stable code. The code selects status and public text from the application's {@link ErrorTable}.
 * An application narrows the code type once: `export const AppError = KitError<Code>`.
 */
export class AppError<Code extends string = string> extends Error {
  readonly code: Code;
  readonly detail: Readonly<Record<string, unknown>> | undefined;
  readonly errors: readonly FieldError[] | undefined;
  readonly headers: Readonly<Record<string, string>> | undefined;

  constructor(code: Code, options: ErrorOptions = {}) {
    super(code, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'AppError';
    this.code = code;
    this.detail = options.detail;
    this.errors = options.errors;
    this.headers = options.headers;
  }
}

/** Error codes that every process can send. Spread them into the application's table. */
export const commonErrors = {
  invalid_request: { status: 400, fault: 'caller', title: 'The request is malformed.' },
  not_found: { status: 404, fault: 'caller', title: 'The resource was not found.' },
  method_not_allowed: { status: 405, fault: 'caller', title: 'The resource does not support this method.' },
  request_timeout: { status: 408, fault: 'caller', title: 'The request took too long to arrive.' },
  payload_too_large: { status: 413, fault: 'caller', title: 'The request body is too large.' },
  unsupported_media_type: {
    status: 415,
    fault: 'caller',
    title: 'The media type of the request body is not supported.',
  },
  headers_too_large: { status: 431, fault: 'caller', title: 'The request headers are too many or too large.' },
  validation_failed: { status: 422, fault: 'caller', title: 'Some fields are invalid.' },
  internal_error: { status: 500, fault: 'ours', title: 'Something went wrong on our side.' },
  unavailable: {
    status: 503,
    fault: 'ours',
    title: 'The service is temporarily unavailable. Try again shortly.',
    retryAfterSec: 1,
  },
} as const satisfies ErrorTable;

export type CommonCode = keyof typeof commonErrors;
