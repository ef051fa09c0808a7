import { problemMediaType } from '@countersign/service-kit';
import { z } from 'zod';
import { type ErrorCode, errors } from '../errors.ts';
import type { Access, Endpoint } from './endpoint.ts';

type Json = Record<string, unknown>;

/** Collects named schemas, so that the document contains each once. */
type Components = Map<string, Json>;

const problem = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    instance: z.string(),
    code: z.string().describe('Stable; branch on this.'),
    request_id: z.string(),
    errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
  })
  .meta({ id: 'Problem', description: 'RFC 9457. Every code: docs/errors.md.' });

const security: Readonly<Record<Access, readonly Json[]>> = {
  public: [],
  user: [{ accessToken: [] }, { boundAccessToken: [] }],
  gateway: [{ gatewaySignature: [] }],
};

/** Error codes of every route, and of routes that read input. */
const always: readonly ErrorCode[] = ['internal_error', 'unavailable'];
const withBody: readonly ErrorCode[] = [
  'invalid_request',
  'payload_too_large',
  'unsupported_media_type',
  'validation_failed',
];

/** All error codes of a route, including the ones common to all routes. */
export function refusalsOf({ refusals, body, query }: Endpoint): ErrorCode[] {
  const asked = body !== undefined ? withBody : query !== undefined ? (['validation_failed'] as const) : [];
  return [...refusals, ...asked, ...always];
}

/** The OpenAPI 3.1 description of routes, made from the schemas that check their requests. */
export function describeEndpoints(endpoints: readonly Endpoint[]): Json {
  const components: Components = new Map();
  const problemRef = schemaOf(problem, 'output', components);
  const paths: Record<string, Json> = {};
  for (const endpoint of endpoints) {
    const path = endpoint.path.replaceAll(/:([a-zA-Z]+)/g, '{$1}');
    paths[path] = { ...paths[path], [endpoint.method]: operationOf(endpoint, problemRef, components) };
  }
  return {
    openapi: '3.1.1',
    info: {
      title: 'Countersign auth-service',
      version: '1',
      description:
        'Accounts, login, tokens, sessions. Clients call it through the gateway, which adds refusals of its own (docs/errors.md).',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [
      { url: '/', description: 'the gateway that serves this description, with `npm start` http://127.0.0.1:8080' },
    ],
    paths,
    components: {
      schemas: Object.fromEntries([...components].sort(([a], [b]) => (a < b ? -1 : 1))),
      securitySchemes: {
        accessToken: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT (RFC 9068)' },
        boundAccessToken: { type: 'http', scheme: 'dpop', description: 'RFC 9449, with a proof in `DPoP`.' },
        gatewaySignature: {
          type: 'apiKey',
          in: 'header',
          name: 'signature',
          description: 'RFC 9421, of the gateway itself: docs/identity-contract.md.',
        },
      },
    },
  };
}

function operationOf(endpoint: Endpoint, problemRef: Json, components: Components): Json {
  const { operationId, summary, description, access, body, query } = endpoint;
  return {
    operationId,
    summary,
    ...(description !== undefined && { description }),
    security: security[access],
    ...parametersOf(endpoint.path, query, components),
    ...(body !== undefined && {
      requestBody: {
        required: !body.safeParse(undefined).success,
        content: { 'application/json': { schema: schemaOf(body, 'input', components) } },
      },
    }),
    responses: {
      ...answersOf(endpoint, components),
      ...problemsOf(endpoint, problemRef, components),
      // The gateway's own errors have the same format.
      default: {
        description: 'What the gateway refuses by itself: a token, a route, a limit. Codes: docs/errors.md.',
        content: { [problemMediaType]: { schema: problemRef } },
      },
    },
  };
}

function parametersOf(path: string, query: z.ZodType | undefined, components: Components): Json {
  const inPath = [...path.matchAll(/:([a-zA-Z]+)/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
  const fields = query instanceof z.ZodObject ? Object.entries(query.shape as Record<string, z.ZodType>) : [];
  const inQuery = fields.map(([name, field]) => ({
    name,
    in: 'query',
    required: !field.safeParse(undefined).success,
    schema: schemaOf(field, 'input', components),
  }));
  const parameters = [...inPath, ...inQuery];
  return parameters.length === 0 ? {} : { parameters };
}

function answersOf({ answers }: Endpoint, components: Components): Json {
  return Object.fromEntries(
    Object.entries(answers).map(([status, schema]) => [
      status,
      schema === null
        ? { description: 'Done.' }
        : {
            description: 'Success.',
            content: { 'application/json': { schema: schemaOf(schema, 'output', components) } },
          },
    ]),
  );
}

function problemsOf(endpoint: Endpoint, problemRef: Json, components: Components): Json {
  const { refusalMembers = {} } = endpoint;
  const byStatus = new Map<number, Set<ErrorCode>>();
  for (const code of refusalsOf(endpoint)) {
    const { status } = errors[code];
    byStatus.set(status, (byStatus.get(status) ?? new Set()).add(code));
  }
  const responses: Json = {};
  for (const [status, codes] of [...byStatus].sort(([a], [b]) => a - b)) {
    const plain = [...codes].filter((code) => refusalMembers[code] === undefined);
    const variants = [
      ...(plain.length > 0 ? [{ properties: { code: { enum: plain } } }] : []),
      ...[...codes].flatMap((code) => {
        const members = refusalMembers[code];
        if (members === undefined) return [];
        return [{ ...schemaOf(members, 'output', components), properties: withCode(code, members, components) }];
      }),
    ];
    responses[status] = {
      description: [...codes].map((code) => `\`${code}\`: ${errors[code].title}`).join(' '),
      content: {
        [problemMediaType]: {
          schema: { allOf: [problemRef, variants.length === 1 ? variants[0] : { oneOf: variants }] },
        },
      },
    };
  }
  return responses;
}

function withCode(code: ErrorCode, members: z.ZodType, components: Components): Json {
  const { properties } = schemaOf(members, 'output', components) as { properties?: Json };
  return { code: { const: code }, ...properties };
}

/** A JSON Schema whose named parts are references into the components. */
function schemaOf(schema: z.ZodType, io: 'input' | 'output', components: Components): Json {
  const {
    $schema: _dialect,
    $defs,
    ...own
  } = z.toJSONSchema(schema, { io, override: soften }) as Json & {
    $defs?: Record<string, Json>;
  };
  for (const [name, part] of Object.entries($defs ?? {})) components.set(name, repoint(part) as Json);
  return repoint(own) as Json;
}

/** Lets responses gain members, and replaces the pattern of a known format, which tells readers less than its name. */
function soften({
  jsonSchema,
}: {
  jsonSchema: { additionalProperties?: unknown; format?: unknown; pattern?: unknown };
}) {
  if (jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties;
  if (jsonSchema.format !== undefined) delete jsonSchema.pattern;
}

function repoint(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(repoint);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key,
      key === '$ref' ? String(inner).replace('#/$defs/', '#/components/schemas/') : repoint(inner),
    ]),
  );
}
