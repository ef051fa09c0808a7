import { ApiError } from '@countersign/client';

/** An error response. `texts` has a message for its code. */
export class Failure extends Error {
  readonly code: string;
  readonly status: number;

  constructor(code: string, status: number) {
    super(code);
    this.code = code;
    this.status = status;
  }
}

/** The outcome of a request, from `client.api`. */
export type Result<T> = Readonly<{ data?: T; error?: unknown; response: Response }>;

/** Returns a response's data. @throws Failure for an error response, TypeError without a response. */
export async function answerOf<T>(call: Promise<Result<T>>): Promise<T> {
  return (await taggedAnswerOf(call)).data;
}

/** Returns a response's data, and its entity tag for `If-Match`. */
export async function taggedAnswerOf<T>(call: Promise<Result<T>>): Promise<Readonly<{ data: T; etag: string }>> {
  const { data, error, response } = await call;
  // A 204 has no data, and its type is undefined.
  if (response.ok) return { data: data as T, etag: response.headers.get('etag') ?? '*' };
  const { code } = (typeof error === 'object' ? (error ?? {}) : {}) as { code?: string };
  throw new Failure(code ?? 'unavailable', response.status);
}

/** Returns the response's error code, `offline` without a response, or `unknown` for a bug. */
export function codeOf(error: unknown): string {
  if (error instanceof Failure) return error.code;
  if (error instanceof ApiError) return error.problem?.code ?? 'unavailable';
  return error instanceof TypeError ? 'offline' : 'unknown';
}

/** Whether the same request would be refused again, so that the user must change it. */
export function isFinal(error: unknown): boolean {
  if (!(error instanceof Failure) || error.code === 'rate_limited') return false;
  return error.status >= 400 && error.status < 500 && error.status !== 401 && error.status !== 408;
}
