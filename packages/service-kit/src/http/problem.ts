import type { AppError, ErrorEntry, ErrorTable, FieldError } from '../errors.ts';

/** RFC 9457 problem details, with our stable `code` and the id to quote to support. */
export type Problem = Readonly<{
  type: string;
  title: string;
  status: number;
  instance: string;
  code: string;
  request_id: string;
  errors?: readonly FieldError[];
}>;

export const problemMediaType = 'application/problem+json';

/** @param path The request's path without its query, which may hold what should not be echoed. */
export function problemOf(code: string, entry: ErrorEntry, request: { id: string; path: string }): Problem {
  return {
    type: `urn:countersign:error:${code}`,
    title: entry.title,
    status: entry.status,
    instance: request.path,
    code,
    request_id: request.id,
  };
}

export type Answer = Readonly<{ status: number; headers: Record<string, string>; body: string; entry: ErrorEntry }>;

/** Turns an error into the whole answer: status, headers and problem+json body. */
export function answerOf(error: AppError, table: ErrorTable, request: { id: string; path: string }): Answer {
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
