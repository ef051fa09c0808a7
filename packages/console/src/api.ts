import type { Answers } from './admin-api/index.ts';

/**
 * Asks the admin API of the gateway.
 *
 * @param target The path below `/api`, with its query.
 * @param body Posted as JSON. Without it, the method is GET.
 * @returns The status and the JSON of the response, also when it is a problem.
 */
export type AskApi = (target: string, body?: unknown) => Promise<Readonly<{ status: number; body: unknown }>>;

/** An invalid field of a query or of a form. */
export type FieldError = Readonly<{ path: string; message: string }>;

/** A problem that the API responded with. */
export class ApiProblem extends Error {
  readonly status: number;
  readonly errors: readonly FieldError[];

  constructor(status: number, errors: readonly FieldError[] = []) {
    super(`the API responded with ${status}`);
    this.status = status;
    this.errors = errors;
  }
}

/** Names and values of a path and a query. An empty value counts as absent. */
export type Query = Readonly<Record<string, string | undefined>>;

/** Reads one path of the API. @throws ApiProblem */
export type ReadApi = <Path extends keyof Answers>(path: Path, query?: Query, body?: unknown) => Promise<Answers[Path]>;

/** Fills in the names of the path, and adds the others as the query. */
export const readApi =
  (ask: AskApi): ReadApi =>
  async (path, query = {}, body) => {
    let target: string = path;
    const rest = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) {
      if (target.includes(`/:${name}`)) target = target.replace(`:${name}`, () => encodeURIComponent(value ?? ''));
      else if (value) rest.set(name, value);
    }
    const answer = await ask(rest.size === 0 ? target : `${target}?${rest}`, body);
    if (answer.status === 200) return answer.body as never;
    throw new ApiProblem(answer.status, (answer.body as { errors?: FieldError[] }).errors);
  };
