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

/** Makes the entries of an {@link ErrorTable} for errors of one side. */
export const entry =
  (fault: Fault) =>
  (status: number, title: string, retryAfterSec?: number): ErrorEntry => ({
    status,
    fault,
    title,
    ...(retryAfterSec !== undefined && { retryAfterSec }),
  });
export const caller = entry('caller');
export const capacity = entry('capacity');
export const ours = entry('ours');

/** Error codes that every process can send. Spread them into the application's table. */
export const commonErrors = {
  invalid_request: caller(400, 'The request is malformed.'),
  not_found: caller(404, 'The resource was not found.'),
  method_not_allowed: caller(405, 'The resource does not support this method.'),
  request_timeout: caller(408, 'The request took too long to arrive.'),
  payload_too_large: caller(413, 'The request body is too large.'),
  unsupported_media_type: caller(415, 'The media type of the request body is not supported.'),
  headers_too_large: caller(431, 'The request headers are too many or too large.'),
  validation_failed: caller(422, 'Some fields are invalid.'),
  internal_error: ours(500, 'Something went wrong on our side.'),
  unavailable: ours(503, 'The service is temporarily unavailable. Try again shortly.', 1),
} as const satisfies ErrorTable;

export type CommonCode = keyof typeof commonErrors;
