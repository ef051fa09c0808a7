import { isDeepStrictEqual } from 'node:util';
import { problemMediaType } from '@countersign/service-kit';
import type { Response } from 'supertest';
import { z } from 'zod';
import type { ErrorCode } from '../../src/errors.ts';
import { endpoints } from '../../src/routes/endpoints.ts';
import { refusalsOf } from '../../src/routes/openapi.ts';

/** Answered before a route is looked at: who calls is not who may. */
const beforeTheRoute: readonly string[] = ['identity_refused', 'identity_not_allowed'];

/** The members of every problem (RFC 9457). */
const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  instance: z.string(),
  code: z.string(),
  request_id: z.string(),
  errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
});

/** @throws Error when a response differs from the OpenAPI description, also by an extra member. */
export function assertDescribed(method: string, path: string, answer: Response): void {
  const endpoint = endpoints.find(
    (each) =>
      each.method === method.toLowerCase() && new RegExp(`^${each.path.replaceAll(/:\w+/g, '[^/]+')}$`).test(path),
  );
  if (endpoint === undefined) return;
  const name = `${method} ${endpoint.path} ${answer.status}`;
  const success = endpoint.answers[answer.status];
  if (success === null) {
    if (answer.text !== '') throw new Error(`${name} has a body, and is described without one`);
    return;
  }
  if (success !== undefined) {
    demandExactly(name, success, answer.body);
    return;
  }
  if (answer.headers['content-type'] !== problemMediaType) throw new Error(`${name} is no ${problemMediaType}`);
  const { code } = answer.body as { code: ErrorCode };
  if (beforeTheRoute.includes(code)) return;
  if (!refusalsOf(endpoint).includes(code)) throw new Error(`${name} ${code} is not described`);
  const members = endpoint.refusalMembers?.[code];
  demandExactly(
    `${name} ${code}`,
    members instanceof z.ZodObject ? problem.extend(members.shape) : problem,
    answer.body,
  );
}

function demandExactly(name: string, schema: z.ZodType, body: unknown): void {
  const parsed = schema.safeParse(body);
  if (!parsed.success) throw new Error(`${name} is not as described: ${z.prettifyError(parsed.error)}`);
  // Parsing drops members that the schema does not define.
  if (!isDeepStrictEqual(parsed.data, body))
    throw new Error(`${name} says more than is described: ${JSON.stringify(body)}`);
}
