import type { Identity, IdentityKind } from '@countersign/identity';
import type { Request, Response } from 'express';
import { z } from 'zod';

/** A response with a media type, headers or description of its own. */
export type ResponseSpec = Readonly<{
  description?: string;
  /** If undefined, the response has no body. A text stream is a `z.string()` with its media type. */
  schema?: z.ZodType;
  /** Defaults to `application/json`. A stream is for example `text/csv` or `text/event-stream`. */
  mediaType?: string;
  /** Descriptions of response headers, by name. */
  headers?: Readonly<Record<string, string>>;
}>;

/** What a route declares. Its schemas validate requests and generate the OpenAPI description. Its callers guard it. */
type Declared<Code extends string> = Readonly<{
  /** A verb and its object. Must be unique, because it names the operation in generated clients. */
  operationId: string;
  /** The operation's group on the API page. */
  tag: string;
  summary: string;
  /** Details that the schemas do not express. */
  description?: string;
  /** The kinds of caller that the route accepts. Others get 403. */
  callers: readonly IdentityKind[];
  /** Accepts only users, and services acting for users, with one of these roles. */
  roles?: readonly string[];
  /** Accepts only tokens with all of these scopes (RFC 6749 section 3.3). */
  scopes?: readonly string[];
  /** Path parameters. A value that does not match gets 404 `not_found`, because no resource can have that path. */
  params?: z.ZodObject;
  /** A strict schema of the query parameters. If undefined, the route accepts none. */
  query?: z.ZodType;
  /** Request headers, by lower-case name. */
  headers?: z.ZodObject;
  /** The body schema. All its objects must be strict. If undefined, no body is read. */
  body?: z.ZodType;
  /** How `body` is encoded: JSON by default, or `application/x-www-form-urlencoded`. */
  encoding?: 'json' | 'form';
  /**
   * Bodies that the handler reads from `req` itself, by media type: null for raw bytes, or a schema with `z.file()` for
   * `multipart/form-data`. Cannot be combined with `body`. Other media types get 415.
   */
  upload?: Readonly<Record<string, z.ZodType | null>>;
  /** Successful responses by status: a JSON schema, null for no body, or a {@link ResponseSpec}. */
  responses: Readonly<Record<number, z.ZodType | ResponseSpec | null>>;
  /** The route's error codes, besides those in `errorCodesOf`. */
  errors?: readonly Code[];
  /** The JSON body of the caller's errors, if a standard prescribes another one. `formatError` creates it. */
  errorBody?: z.ZodType;
}>;

/** A declared route without its handler. */
export type Endpoint = Declared<string> &
  Readonly<{
    method: 'get' | 'post' | 'put' | 'patch' | 'delete';
    /** In Express syntax: `/v1/auth/sessions/:id`. */
    path: string;
  }>;

/** Refuses unknown properties, which an inferred type would accept. */
type Exact<E> = E & { readonly [Key in Exclude<keyof E, keyof Endpoint>]: never };

type Parsed<Schema> = Schema extends z.ZodType ? z.output<Schema> : undefined;

type BodyOf<Spec> = Spec extends z.ZodType
  ? [body: z.output<Spec>]
  : Spec extends { schema: infer Schema extends z.ZodType }
    ? [body: z.output<Schema>]
    : [];

/** What a route's handler receives: the caller, and the validated input. */
export type Call<E extends Declared<string>> = Readonly<{
  req: Request;
  res: Response;
  identity: Extract<Identity, { kind: E['callers'][number] }>;
  params: Parsed<E['params']>;
  query: Parsed<E['query']>;
  headers: Parsed<E['headers']>;
  body: Parsed<E['body']>;
  /** Sends a declared response as JSON. Set its headers on `res` first, and write streams to `res` instead. */
  reply<Status extends keyof E['responses'] & number>(status: Status, ...body: BodyOf<E['responses'][Status]>): void;
}>;

/** A declared route with its handler. `Parts` are the dependencies of all the service's handlers. */
export type Route<Parts> = Readonly<{ endpoint: Endpoint; handle: (call: Call<Endpoint>, parts: Parts) => unknown }>;

/** A method and a path in Express syntax: `GET /v1/auth/sessions/:id`. */
type Place = `${Uppercase<Endpoint['method']>} /${string}`;

/**
 * Creates the function with which a service declares its routes:
 * `route('GET /v1/books', { … }).handle(async (call, parts) => { … })`.
 * `Code` is the service's error codes. A declaration throws if its query or body would ignore unknown members.
 */
export const routesWith =
  <Code extends string, Parts>() =>
  <const E extends Declared<Code>>(place: Place, declared: Exact<E>) => {
    const [method, path] = place.split(' ') as [string, string];
    const endpoint = { ...declared, method: method.toLowerCase() as Endpoint['method'], path };
    for (const schema of [declared.query, declared.body])
      if (schema !== undefined) assertStrict(declared.operationId, schema);
    return {
      handle: (handle: (call: Call<E>, parts: Parts) => unknown): Route<Parts> => ({
        endpoint,
        handle: handle as unknown as Route<Parts>['handle'],
      }),
    };
  };

/** Schemas that may ignore unknown members, and the standard that says so. */
export const ignoresUnknown = z.registry<Readonly<{ source: string }>>();

/** @throws Error if a request schema ignores unknown members: callers would not notice a misspelled one. */
export function assertStrict(name: string, schema: z.ZodType): void {
  z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    override({ zodSchema }) {
      if (!(zodSchema instanceof z.ZodObject) || zodSchema.def.catchall !== undefined) return;
      // Unlike `has`, `get` also finds schemas that were refined.
      if (ignoresUnknown.get(zodSchema) !== undefined) return;
      const members = Object.keys(zodSchema.shape).join(', ');
      throw new Error(`${name}: the object of ${members} ignores unknown members; declare it with z.strictObject`);
    },
  });
}
