/** Whose mistake an error was. Operators page on `ours`, `upstream` and `configuration`, never on `caller`. */
export type Fault = 'caller' | 'configuration' | 'capacity' | 'upstream' | 'ours';

/** What one stable code means to the client. `title` is public; keep internals out of it. */
export type ErrorEntry = Readonly<{
  /** HTTP status, 400 to 599. */
  status: number;
  fault: Fault;
  title: string;
  /** Sent as `Retry-After`, in whole seconds (RFC 9110 section 10.2.3). */
  retryAfterSec?: number;
}>;

export type ErrorTable = Readonly<Record<string, ErrorEntry>>;

/** One problem with one field of the request, safe to show. `path` is the wire name, e.g. `items.0.title`. */
export type FieldError = Readonly<{ path: string; message: string }>;

export type ErrorOptions = Readonly<{
  cause?: unknown;
  /** For the log only. Never a token, password, key or signature. */
  detail?: Readonly<Record<string, unknown>>;
  /** For the client: which fields were wrong. */
  errors?: readonly FieldError[];
  /** Extra response headers, e.g. `www-authenticate`. */
  headers?: Readonly<Record<string, string>>;
}>;

/**
 * A refusal or a fault, named by a stable code. The code picks status and public text from the application's own
 * {@link ErrorTable}; an application narrows it once: `export const AppError = KitError<Code>`.
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

/** Codes that every process here can answer with. Spread it into the application's table. */
export const commonErrors = {
  invalid_request: { status: 400, fault: 'caller', title: 'The request is malformed.' },
  not_found: { status: 404, fault: 'caller', title: 'There is nothing here.' },
  method_not_allowed: { status: 405, fault: 'caller', title: 'This method is not allowed here.' },
  request_timeout: { status: 408, fault: 'caller', title: 'The request took too long to arrive.' },
  payload_too_large: { status: 413, fault: 'caller', title: 'The body is larger than this endpoint takes.' },
  unsupported_media_type: { status: 415, fault: 'caller', title: 'This kind of body is not understood here.' },
  headers_too_large: { status: 431, fault: 'caller', title: 'The request has too many or too large headers.' },
  validation_failed: { status: 422, fault: 'caller', title: 'Some fields are not acceptable.' },
  internal_error: { status: 500, fault: 'ours', title: 'Something went wrong on our side.' },
  unavailable: { status: 503, fault: 'ours', title: 'Not available right now. Try again shortly.', retryAfterSec: 1 },
} as const satisfies ErrorTable;

export type CommonCode = keyof typeof commonErrors;
