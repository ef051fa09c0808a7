import { type ErrorTable, problemMediaType, problemSchema } from '@countersign/process-kit';
import type { z } from 'zod';
import type { Endpoint } from './endpoint.ts';
import { type Components, type Json, refTo, schemaOf } from './json-schema.ts';

/** Extension members of problem responses (RFC 9457 section 3.2), by code. */
export type ProblemMembers = Readonly<Record<string, z.ZodObject>>;

const always = ['internal_error', 'unavailable'];
const withBody = ['invalid_request', 'payload_too_large', 'unsupported_media_type'];

/** Returns all of a route's error codes: its own, and those that follow from what it reads and accepts. */
export function errorCodesOf({ errors = [], roles, scopes, params, body, upload, errorBody }: Endpoint): string[] {
  return [
    ...new Set([
      ...errors,
      ...(roles === undefined ? [] : ['insufficient_role']),
      ...(scopes === undefined ? [] : ['insufficient_scope']),
      ...(params === undefined ? [] : ['not_found']),
      ...(body === undefined && upload === undefined ? [] : withBody),
      ...(errorBody === undefined ? ['validation_failed'] : []),
      ...always,
    ]),
  ];
}

/** The body of an error response that is not problem+json, see `Endpoint.errorBody`. */
export const errorBodyOf = ({ errorBody }: Endpoint, code: string, errors: ErrorTable): z.ZodType | undefined =>
  errors[code]?.fault === 'caller' ? errorBody : undefined;

/** Returns the error responses by status. Each code is a component, so that callers can narrow the type. */
export function errorResponses(
  endpoint: Endpoint,
  api: Readonly<{ errors: ErrorTable; problemMembers?: ProblemMembers }>,
  components: Components,
): Json {
  const byStatus = new Map<number, string[]>();
  for (const code of errorCodesOf(endpoint)) {
    const entry = api.errors[code];
    if (entry === undefined) throw new Error(`the error table lacks ${code}`);
    byStatus.set(entry.status, [...(byStatus.get(entry.status) ?? []), code]);
  }
  return Object.fromEntries(
    [...byStatus]
      .sort(([a], [b]) => a - b)
      .map(([status, those]) => {
        const description = those.map((code) => `\`${code}\`: ${api.errors[code]?.title}`).join(' ');
        const body = errorBodyOf(endpoint, those[0] ?? '', api.errors);
        if (body !== undefined)
          return [
            status,
            { description, content: { 'application/json': { schema: schemaOf(body, 'output', components) } } },
          ];
        const refs = those.map((code) => problemOfCode(code, api, components));
        const schema = refs.length === 1 ? refs[0] : { oneOf: refs };
        return [status, { description, content: { [problemMediaType]: { schema } } }];
      }),
  );
}

function problemOfCode(
  code: string,
  { errors, problemMembers }: Readonly<{ errors: ErrorTable; problemMembers?: ProblemMembers }>,
  components: Components,
): Json {
  const members = problemMembers?.[code];
  const own = (members && schemaOf(members, 'output', components)) as
    | Readonly<{ properties: Json; required?: string[] }>
    | undefined;
  const name = `${code.replaceAll(/(?:^|_)([a-z0-9])/g, (_match, letter: string) => letter.toUpperCase())}Problem`;
  const { status, title } = errors[code] as ErrorTable[string];
  components.add(name, {
    description: title,
    allOf: [
      schemaOf(problemSchema, 'output', components),
      {
        type: 'object',
        properties: { code: { const: code }, status: { const: status }, ...own?.properties },
        required: ['code', 'status', ...(own?.required ?? [])],
      },
    ],
  });
  return refTo(name);
}
