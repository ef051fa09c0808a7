import type { components } from './api-types.ts';

/** An error response (RFC 9457). Branch on `code`, which is stable. */
export type Problem = components['schemas']['Problem'];

/**
 * A request by the client itself failed: a refresh, or opening an event stream. `api` returns problems as `error`
 * instead.
 */
export class ApiError extends Error {
  readonly status: number;
  /** Undefined if the response was not problem+json, for example from a proxy. */
  readonly problem: Problem | undefined;

  constructor(status: number, problem: Problem | undefined) {
    super(problem === undefined ? `the response has status ${status}` : `${problem.code}: ${problem.title}`);
    this.name = 'ApiError';
    this.status = status;
    this.problem = problem;
  }
}

/** Reads the problem in a response. The body stays readable. Undefined if the response is not problem+json. */
export async function problemOf(response: Response): Promise<Problem | undefined> {
  if (response.headers.get('content-type') !== 'application/problem+json') return undefined;
  return (await response.clone().json()) as Problem;
}
