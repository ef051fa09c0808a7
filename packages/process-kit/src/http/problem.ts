import type { ErrorRequestHandler, Request, RequestHandler, Response } from 'express';
import { ZodError, z } from 'zod';
import { AppError, type ErrorEntry, type ErrorTable, type FieldError } from '../errors.ts';
import { docsPage } from './docs-page.ts';
import { addToLog, requestIdOf } from './request-log.ts';

/** Problem details (RFC 9457) with a stable `code`, and the request id to quote to support. */
export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    instance: z.string(),
    code: z.string().describe('The stable error code. Use this to handle errors.'),
    request_id: z.string(),
    docs: z.string().optional().describe('A page about the code, if the operator has set `errors.docs`.'),
    errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
  })
  .meta({ id: 'Problem', description: `Problem details (RFC 9457). All codes: ${docsPage('errors.md')}` });
export type Problem = z.output<typeof problemSchema>;

export const problemMediaType = 'application/problem+json';

/** What a problem says about its request. The path is without the query, which may have data that must not be repeated. */
type Told = Readonly<{ id: string; path: string; docs?: string | undefined }>;

export function problemOf(code: string, entry: ErrorEntry, request: Told): Problem {
  return {
    type: `urn:countersign:error:${code}`,
    title: entry.title,
    status: entry.status,
    instance: request.path,
    code,
    request_id: request.id,
    ...(request.docs !== undefined && { docs: request.docs + code }),
  };
}

export type Answer = Readonly<{ status: number; headers: Record<string, string>; body: string; entry: ErrorEntry }>;

/** Turns an error into a complete response: status, headers and problem+json body. */
export function answerOf(error: AppError, table: ErrorTable, request: Told): Answer {
  const entry = table[error.code] ?? table.internal_error;
  if (entry === undefined) throw new Error('the error table lacks internal_error');
  const code = table[error.code] === undefined ? 'internal_error' : error.code;
  const problem = problemOf(code, entry, request);
  const headers: Record<string, string> = { 'content-type': problemMediaType, 'cache-control': 'no-store' };
  if (entry.retryAfterSec !== undefined) headers['retry-after'] = String(entry.retryAfterSec);
  Object.assign(headers, error.headers);
  const body = error.errors === undefined ? problem : { ...problem, errors: error.errors };
  return { status: entry.status, headers, body: JSON.stringify(body), entry };
}

/** Responds with 404 if no route matches. */
export const notFound: RequestHandler = (_req, _res, next) => next(new AppError('not_found'));

/** Formats an error as JSON or HTML, for routes whose callers do not expect problem+json. */
export type FormatError = (
  error: AppError,
  entry: ErrorEntry,
  req: Request,
) => Readonly<{ body: object | string; headers?: Readonly<Record<string, string>> }> | undefined;

/** Responds to errors. One that is not an {@link AppError} becomes a 500. Cuts off a response that has started. */
export function respondWithProblem(table: ErrorTable, format?: FormatError): ErrorRequestHandler {
  return (thrown: unknown, req: Request, res: Response, _next) => {
    const error = toAppError(thrown);
    const problem = answerOf(error, table, { id: requestIdOf(res), path: req.path });
    const { status, entry } = problem;
    const formatted = format?.(error, entry, req);
    const isHtml = typeof formatted?.body === 'string';
    const mediaType = isHtml ? 'text/html; charset=utf-8' : 'application/json';
    const headers = formatted
      ? { ...problem.headers, 'content-type': mediaType, ...formatted.headers }
      : problem.headers;
    const body = formatted ? (isHtml ? formatted.body : JSON.stringify(formatted.body)) : problem.body;
    addToLog(res, { code: error.code, fault: entry.fault, ...(error.detail && { detail: error.detail }) });
    if (status >= 500 || entry.fault === 'ours') addToLog(res, { err: error.cause ?? error });
    if (res.headersSent) {
      res.destroy();
      return;
    }
    res.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) }).end(body);
  };
}

/** Maps errors from Express and its parsers to our codes. Unknown errors become `internal_error`. */
export function toAppError(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown;
  if (thrown instanceof ZodError) {
    return new AppError('validation_failed', { errors: thrown.issues.flatMap(fieldErrors) });
  }
  const type = (thrown as { type?: unknown } | null)?.type;
  switch (type) {
    case 'entity.too.large':
      return new AppError('payload_too_large', { cause: thrown });
    case 'encoding.unsupported':
    case 'charset.unsupported':
      return new AppError('unsupported_media_type', { cause: thrown });
    case 'entity.parse.failed':
    case 'entity.verify.failed':
    case 'request.size.invalid':
    case 'parameters.too.many':
    case 'request.aborted':
      return new AppError('invalid_request', { detail: { parser: type } });
  }
  // Express throws this for malformed percent-encoding in :params, which is the caller's fault.
  if (thrown instanceof URIError)
    return new AppError('invalid_request', { detail: { reason: 'bad percent-encoding' } });
  return new AppError('internal_error', { cause: thrown });
}

/** Lists unknown fields one by one, like invalid ones. */
function fieldErrors(issue: z.core.$ZodIssue): FieldError[] {
  const at = (path: PropertyKey[]) => path.join('.');
  if (issue.code !== 'unrecognized_keys') return [{ path: at(issue.path), message: issue.message }];
  return issue.keys.map((key) => ({ path: at([...issue.path, key]), message: 'is not a known field' }));
}
