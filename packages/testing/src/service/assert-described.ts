import { isDeepStrictEqual } from 'node:util';
import { problemMediaType, problemSchema } from '@countersign/process-kit';
import { type Api, type Endpoint, errorBodyOf, errorCodesOf } from '@countersign/service-kit';
import type { Response } from 'supertest';
import { z } from 'zod';

/** Responses without a declaration: from the identity check, and from undeclared routes. */
const beforeTheRoute: readonly string[] = ['identity_refused', 'identity_not_allowed', 'actor_not_allowed'];

/**
 * Compares a response with the service's OpenAPI declarations. Skips routes without a declaration.
 *
 * @throws Error if the response differs, also if it has an additional member.
 */
export function assertDescribed(api: Api, method: string, target: string, response: Response): void {
  const [path = ''] = target.split('?');
  const ofMethod = api.endpoints.filter((each) => each.method === method.toLowerCase());
  const isPattern = (pattern: string) => new RegExp(`^${pattern.replaceAll(/:\w+/g, '[^/]+')}$`).test(path);
  const endpoint = ofMethod.find((each) => each.path === path) ?? ofMethod.find((each) => isPattern(each.path));
  if (endpoint === undefined) return;
  const name = `${method} ${endpoint.path} ${response.status}`;
  const declared = endpoint.responses[response.status];
  if (declared === undefined) {
    assertError(api, endpoint, name, response);
    return;
  }
  const { schema, mediaType = 'application/json' } =
    declared === null ? {} : declared instanceof z.ZodType ? { schema: declared } : declared;
  if (schema === undefined) {
    if (response.text) throw new Error(`${name} has a body, and is described without one`);
  } else if (mediaType === 'application/json') assertExactly(name, schema, response.body);
  else if (mediaType !== '*/*' && !response.type.startsWith(mediaType))
    throw new Error(`${name} is ${response.type}, not ${mediaType}`);
}

function assertError(api: Api, endpoint: Endpoint, name: string, response: Response): void {
  const codes = errorCodesOf(endpoint);
  const code = codes.find((each) => api.errors[each]?.status === response.status);
  const body = code === undefined ? undefined : errorBodyOf(endpoint, code, api.errors);
  if (body === undefined || beforeTheRoute.includes(response.body.code)) assertProblem(api, codes, name, response);
  else if (response.type !== 'application/json') throw new Error(`${name} is ${response.type}, not application/json`);
  else assertExactly(name, body, response.body);
}

function assertProblem(api: Api, codes: readonly string[], name: string, response: Response): void {
  if (response.headers['content-type'] !== problemMediaType) throw new Error(`${name} is not ${problemMediaType}`);
  const { code } = response.body as { code: string };
  if (beforeTheRoute.includes(code)) return;
  if (!codes.includes(code)) throw new Error(`${name} ${code} is not described`);
  assertExactly(`${name} ${code}`, problemSchema.extend(api.problemMembers?.[code]?.shape ?? {}), response.body);
}

function assertExactly(name: string, schema: z.ZodType, body: unknown): void {
  const parsed = schema.safeParse(body);
  if (!parsed.success) throw new Error(`${name} is not as described: ${z.prettifyError(parsed.error)}`);
  // Parsing drops members that the schema does not define.
  if (!isDeepStrictEqual(parsed.data, body))
    throw new Error(`${name} has more than is described: ${JSON.stringify(body)}`);
}
