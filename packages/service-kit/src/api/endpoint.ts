import type { Identity, IdentityKind } from '@countersign/identity';
import type { Request, Response } from 'express';
import { z } from 'zod';

/** A response that is more than a JSON body, or that needs a description of its own. */
export type ResponseSpec = Readonly<{
  description?: string;
  /** If absent, the response has no body. A stream of text is a `z.string()` with its media type. */
  schema?: z.ZodType;
  /** Default `application/json`. A stream is for example `text/csv` or `text/event-stream`. */
  mediaType?: string;
  /** Response headers by name, with their descriptions. */
  headers?: Readonly<Record<string, string>>;
}>;

/**
 * The one declaration of a route. Its schemas validate requests and generate the OpenAPI description, and its callers
 * guard it.
 */
export type Endpoint<Code extends string = string> = Readonly<{
  method: 'get' | 'post' | 'put' | 'patch' | 'delete';
  /** In Express syntax: `/v1/auth/sessions/:id`. */
  path: string;
  /** A verb and its object, unique: names the operation in generated clients. */
  operationId: string;
  /** The group of the operation in the API page. */
  tag: string;
  summary: string;
  /** Details that the schemas do not express. */
  description?: string;
  /** The kinds of caller that the route accepts; others get 403. */
  callers: readonly IdentityKind[];
  /** Accepts only users, and services acting for users, with one of these roles. */
  roles?: readonly string[];
  /** Accepts only tokens with all of these scopes (RFC 6749 section 3.3). */
  scopes?: readonly string[];
  /** Path parameters. A value that does not match gets 404 `not_found`: no resource can have that path. */
  params?: z.ZodObject;
  /** Query parameters, strict. If absent, the route accepts none. */
  query?: z.ZodType;
  /** Request headers, by lower-case name. */
  headers?: z.ZodObject;
  /** Strict, with every object in it. If absent, no body is read. */
  body?: z.ZodType;
  /** How `body` is encoded: JSON by default, or `application/x-www-form-urlencoded`. */
  encoding?: 'json' | 'form';
  /**
   * Bodies that the handler reads from `req` itself, by media type: null for raw bytes, a schema with `z.file()` for
   * `multipart/form-data`. Excludes `body`. Another media type gets 415.
   */
  upload?: Readonly<Record<string, z.ZodType | null>>;
  /** Successful responses by status: a JSON schema, null for no body, or a {@link ResponseSpec}. */
  responses: Readonly<Record<number, z.ZodType | ResponseSpec | null>>;
  /** Its error codes, besides those of every route: see `errorCodesOf`. */
  errors: readonly Code[];
  /**
   * The JSON body of errors that are the caller's fault, if a standard prescribes a format other than problem+json.
   * The service's `formatError` creates it.
   */
  errorBody?: z.ZodType;
}>;

/** Refuses properties that {@link Endpoint} lacks, which an inferred type would let through. */
type Exact<E> = E & { readonly [Key in Exclude<keyof E, keyof Endpoint>]: never };

type Parsed<Schema> = Schema extends z.ZodType ? z.output<Schema> : undefined;

type BodyOf<Spec> = Spec extends z.ZodType
  ? [body: z.output<Spec>]
  : Spec extends { schema: infer Schema extends z.ZodType }
    ? [body: z.output<Schema>]
    : [];

/** What the handler of a route receives: the caller, and the validated input. */
export type Call<E extends Endpoint> = Readonly<{
  req: Request;
  res: Response;
  identity: Extract<Identity, { kind: E['callers'][number] }>;
  params: Parsed<E['params']>;
  query: Parsed<E['query']>;
  headers: Parsed<E['headers']>;
  body: Parsed<E['body']>;
  /** Sends a declared response as JSON. Set its headers on `res` first; write streams to `res` instead. */
  reply<Status extends keyof E['responses'] & number>(status: Status, ...body: BodyOf<E['responses'][Status]>): void;
}>;

/** A declared route with its handler. `Parts` are the dependencies of all handlers of a service. */
export type Route<Parts> = Readonly<{ endpoint: Endpoint; handle: (call: Call<Endpoint>, parts: Parts) => unknown }>;

/**
 * Creates the function with which a service declares its routes: `route({ … }).handle(async (call, parts) => { … })`.
 * `Code` is the service's error codes. A declaration throws when its query or body would ignore unknown members.
 */
export const routesWith =
  <Code extends string, Parts>() =>
  <const E extends Endpoint<Code>>(declared: Exact<E>) => {
    for (const schema of [declared.query, declared.body])
      if (schema !== undefined) assertStrict(declared.operationId, schema);
    return {
      handle: (handle: (call: Call<E>, parts: Parts) => unknown): Route<Parts> => ({
        endpoint: declared,
        handle: handle as unknown as Route<Parts>['handle'],
      }),
    };
  };

/** Object schemas that ignore unknown members, and the standard that says so. */
export const ignoresUnknown = z.registry<Readonly<{ source: string }>>();

/**
 * A misspelt filter that is ignored returns everything, and a misspelt member changes nothing: clients never notice.
 *
 * @throws Error when an object within the schema of a request would ignore unknown members.
 */
export function assertStrict(name: string, schema: z.ZodType): void {
  z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    override({ zodSchema }) {
      if (!(zodSchema instanceof z.ZodObject) || zodSchema.def.catchall !== undefined) return;
      // `get`, unlike `has`, knows what a schema was refined from.
      if (ignoresUnknown.get(zodSchema) !== undefined) return;
      const members = Object.keys(zodSchema.shape).join(', ');
      throw new Error(`${name}: the object of ${members} ignores unknown members; declare it with z.strictObject`);
    },
  });
}
