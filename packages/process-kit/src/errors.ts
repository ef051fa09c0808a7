/** Who caused an error. Operators are paged for `ours`, `upstream` and `configuration`, never for `caller`. */
export type Fault = 'caller' | 'configuration' | 'capacity' | 'upstream' | 'ours';

/** What a stable code means. `title` is public and must not reveal internals. */
export type ErrorEntry = Readonly<{
  /** HTTP status, 400 to 599. */
  status: number;
  fault: Fault;
  title: string;
  /** The `Retry-After` of the response, in whole seconds (RFC 9110 section 10.2.3). */
  retryAfterSec?: number;
}>;

export type ErrorTable = Readonly<Record<string, ErrorEntry>>;

/** A problem with a request field, safe to show. `path` is the wire name, such as `items.0.title`. */
export type FieldError = Readonly<{ path: string; message: string }>;

export type ErrorOptions = Readonly<{
  cause?: unknown;
  /** For the log only. Must not contain a token, password, key or signature. */
  detail?: Readonly<Record<string, unknown>>;
  /** The invalid fields, which are part of the response. */
  errors?: readonly FieldError[];
  /** Extra response headers, such as `www-authenticate`. */
  headers?: Readonly<Record<string, string>>;
}>;

/**
 * An error with a stable code. The code selects the status and public text in the application's {@link ErrorTable}. An
 * application narrows the code type once: `export const AppError = KitError<Code>`.
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

/** Creates {@link ErrorTable} entries for errors that one side causes. */
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

/** Error codes of every process. Spread them into the application's table. */
export const commonErrors = {
  invalid_request: caller(400, 'The request is malformed.'),
  not_found: caller(404, 'The resource was not found.'),
  method_not_allowed: caller(405, 'The resource does not support this method.'),
  request_timeout: caller(408, 'The request took too long to arrive.'),
  payload_too_large: caller(413, 'The request body is too large.'),
  unsupported_media_type: caller(415, 'The request body has an unsupported media type.'),
  headers_too_large: caller(431, 'The request has too many or too large headers.'),
  validation_failed: caller(422, 'Some fields are invalid.'),
  internal_error: ours(500, 'Something went wrong on our side.'),
  unavailable: ours(503, 'The service is temporarily unavailable. Try again shortly.', 1),
} as const satisfies ErrorTable;

export type CommonCode = keyof typeof commonErrors;
