import { docsPage, type ErrorTable, problemMediaType, problemSchema } from '@countersign/process-kit';
import { z } from 'zod';
import type { Endpoint } from './endpoint.ts';
import { Components, type Json, refTo, schemaOf } from './json-schema.ts';
import { errorResponses, type ProblemMembers } from './problems.ts';

/** The input for a service's OpenAPI description. */
export type Api = Readonly<{
  title: string;
  description: string;
  /** The operation groups, in the order of the API page. */
  tags: readonly Readonly<{ name: string; description: string }>[];
  errors: ErrorTable;
  problemMembers?: ProblemMembers;
  /** The errors that the gateway returns before it forwards a request. If undefined, their codes are not described. */
  gatewayErrors?: ErrorTable;
  /** Every route behind the identity check, in the order of the description. */
  endpoints: readonly Endpoint[];
}>;

const securitySchemes = {
  accessToken: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT (RFC 9068)' },
  boundAccessToken: {
    type: 'http',
    scheme: 'dpop',
    description: 'An access token that is bound to a key (RFC 9449), with a proof in the `DPoP` header.',
  },
  gatewaySignature: {
    type: 'apiKey',
    in: 'header',
    name: 'signature',
    description: `The gateway's own signature (RFC 9421): ${docsPage('identity-contract.md')}`,
  },
};

/** @throws Error if two operations or components share a name or place, or a tag or error code is not declared. */
export function describeApi(api: Api): Json {
  const components = new Components();
  const paths: Record<string, Json> = {};
  const names = new Set<string>();
  for (const endpoint of api.endpoints) {
    const path = endpoint.path.replaceAll(/:([a-zA-Z]+)/g, '{$1}');
    const { operationId, method } = endpoint;
    if (names.has(operationId) || paths[path]?.[method] !== undefined)
      throw new Error(`${operationId}, ${method} ${path}: another operation has this name, or this method and path`);
    names.add(operationId);
    paths[path] = { ...paths[path], [endpoint.method]: operationOf(endpoint, api, components) };
  }
  return {
    openapi: '3.1.1',
    info: {
      title: api.title,
      version: '1',
      description: api.description,
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [
      { url: '/', description: 'The gateway that serves this description. With `npm start`, http://127.0.0.1:8080.' },
    ],
    tags: api.tags,
    paths,
    components: {
      responses: { [gatewayResponse]: gatewayResponseOf(api, components) },
      schemas: components.toJSON(),
      securitySchemes: usedSchemes(api.endpoints),
    },
  };
}

function operationOf(endpoint: Endpoint, api: Api, components: Components): Json {
  const { operationId, tag, summary, description, callers } = endpoint;
  const fromGateway = { $ref: `#/components/responses/${gatewayResponse}` };
  if (!api.tags.some(({ name }) => name === tag)) throw new Error(`${operationId}: the tag ${tag} is not declared`);
  return {
    operationId,
    tags: [tag],
    summary,
    ...(description !== undefined && { description }),
    security: securityOf(endpoint),
    ...parametersOf(endpoint, components),
    ...requestBodyOf(endpoint, components),
    responses: {
      ...responsesOf(endpoint, components),
      ...(!callers.includes('anonymous') && { 401: fromGateway }),
      ...errorResponses(endpoint, api, components),
      default: fromGateway,
    },
  };
}

const gatewayResponse = 'GatewayProblem';

/** The gateway's own errors have the same format as the services' errors. */
function gatewayResponseOf({ gatewayErrors }: Api, components: Components): Json {
  const problem = schemaOf(problemSchema, 'output', components);
  if (gatewayErrors !== undefined) {
    const code = { enum: Object.keys(gatewayErrors).sort() };
    components.add(gatewayResponse, {
      description: 'An error from the gateway itself.',
      allOf: [problem, { type: 'object', properties: { code }, required: ['code'] }],
    });
  }
  return {
    description:
      'Errors from the gateway itself, such as an invalid token or an exceeded limit. The schema Problem links to all codes.',
    content: { [problemMediaType]: { schema: gatewayErrors === undefined ? problem : refTo(gatewayResponse) } },
  };
}

function securityOf({ callers, scopes = [] }: Endpoint): readonly Json[] {
  const withToken = [{ accessToken: scopes }, { boundAccessToken: scopes }];
  if (!callers.some((kind) => kind !== 'gateway' && kind !== 'service')) return [{ gatewaySignature: [] }];
  return callers.includes('anonymous') ? (callers.length === 1 ? [] : [{}, ...withToken]) : withToken;
}

function usedSchemes(endpoints: readonly Endpoint[]): Json {
  const used = new Set(endpoints.flatMap((endpoint) => securityOf(endpoint).flatMap((scheme) => Object.keys(scheme))));
  return Object.fromEntries(Object.entries(securitySchemes).filter(([name]) => used.has(name)));
}

function parametersOf({ path, params, query, headers }: Endpoint, components: Components): Json {
  const inPath = [...path.matchAll(/:([a-zA-Z]+)/g)].map(([, name = '']) => {
    const field = params?.shape[name] as z.ZodType | undefined;
    const schema = field === undefined ? { type: 'string' } : schemaOf(field, 'input', components);
    return { name, in: 'path', required: true, schema };
  });
  const fieldsOf = (schema: z.ZodType | undefined, place: 'query' | 'header') =>
    Object.entries(schema instanceof z.ZodObject ? (schema.shape as Record<string, z.ZodType>) : {}).map(
      ([name, field]) => ({
        name,
        in: place,
        required: !field.safeParse(undefined).success,
        schema: schemaOf(field, 'input', components),
      }),
    );
  const parameters = [...inPath, ...fieldsOf(query, 'query'), ...fieldsOf(headers, 'header')];
  return parameters.length === 0 ? {} : { parameters };
}

function requestBodyOf({ body, encoding, upload }: Endpoint, components: Components): Json {
  const mediaType = encoding === 'form' ? 'application/x-www-form-urlencoded' : 'application/json';
  const bodies = upload ?? (body === undefined ? {} : { [mediaType]: body });
  if (Object.keys(bodies).length === 0) return {};
  const contents = Object.entries(bodies).map(([type, schema]) => [
    type,
    { schema: schema === null ? { type: 'string', format: 'binary' } : schemaOf(schema, 'input', components) },
  ]);
  const required = upload !== undefined || body?.safeParse(undefined).success === false;
  return { requestBody: { required, content: Object.fromEntries(contents) } };
}

const usual: Readonly<Record<string, string>> = {
  200: 'Success.',
  201: 'Created.',
  202: 'Accepted. Processing continues in the background.',
  204: 'Success without a body.',
  304: 'Not modified. You have the current revision.',
};

function responsesOf({ responses }: Endpoint, components: Components): Json {
  return Object.fromEntries(
    Object.entries(responses).map(([status, given]) => {
      const spec = given === null ? {} : given instanceof z.ZodType ? { schema: given } : given;
      const { schema, mediaType = 'application/json', headers } = spec;
      const described = {
        description: spec.description ?? schema?.description ?? usual[status] ?? 'Success.',
        ...(headers && { headers: headersOf(headers) }),
        ...(schema && { content: { [mediaType]: { schema: schemaOf(schema, 'output', components) } } }),
      };
      return [status, described];
    }),
  );
}

const headersOf = (headers: Readonly<Record<string, string>>): Json =>
  Object.fromEntries(
    Object.entries(headers).map(([name, description]) => [name, { description, schema: { type: 'string' } }]),
  );
