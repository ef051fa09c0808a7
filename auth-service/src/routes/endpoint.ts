import type { Identity, IdentityKind, UserIdentity } from '@countersign/identity';
import { requireIdentity, userOf } from '@countersign/identity/express';
import { jsonBody } from '@countersign/service-kit';
import type { Request, Response, Router } from 'express';
import { z } from 'zod';
import type { ErrorCode } from '../errors.ts';

/** Allowed callers: `public` with or without a token, a `user`, or the `gateway` on its own behalf. */
export type Access = 'public' | 'user' | 'gateway';

/**
 * The public description of one route. The same schemas validate its requests and generate its OpenAPI description; a test fails
 * for a route without one.
 */
export type Endpoint<
  Who extends Access = Access,
  Body extends z.ZodType = z.ZodType,
  Query extends z.ZodType = z.ZodType,
> = Readonly<{
  method: 'get' | 'post' | 'put' | 'patch' | 'delete';
  /** As Express writes it: `/v1/auth/sessions/:id`. */
  path: string;
  /** A verb and its object, unique: names the operation in generated clients. */
  operationId: string;
  summary: string;
  /** Details that the schemas do not express. */
  description?: string;
  access: Who;
  /** Absent: no body is read. */
  body?: Body;
  query?: Query;
  /** Schemas of successful answers by status; null has no body. */
  answers: Readonly<Record<number, z.ZodType | null>>;
  /** Its error codes, besides those of every route: a malformed, oversized or invalid request, 500 and 503. */
  refusals: readonly ErrorCode[];
  /** Extension members of its problem responses (RFC 9457 section 3.2). */
  refusalMembers?: Readonly<Partial<Record<ErrorCode, z.ZodType>>>;
}>;

/** Keeps the schemas' types, so that a handler gets the parsed types. */
export const endpoint = <
  Who extends Access,
  Body extends z.ZodType = z.ZodUndefined,
  Query extends z.ZodType = z.ZodUndefined,
>(
  described: Endpoint<Who, Body, Query>,
): Endpoint<Who, Body, Query> => described;

type Call<Who extends Access, Body extends z.ZodType, Query extends z.ZodType> = Readonly<{
  req: Request;
  res: Response;
  identity: Who extends 'user' ? UserIdentity : Identity;
  body: z.infer<Body>;
  query: z.infer<Query>;
}>;

const kinds: Readonly<Record<Access, readonly IdentityKind[]>> = {
  public: ['anonymous', 'user'],
  user: ['user'],
  gateway: ['gateway'],
};

const nothing = z.undefined();

/** Adds a described route to a router: checks the caller, validates the input, then runs the handler. */
export function serve<Who extends Access, Body extends z.ZodType, Query extends z.ZodType>(
  router: Router,
  described: Endpoint<Who, Body, Query>,
  handle: (call: Call<Who, Body, Query>) => Promise<unknown>,
): void {
  const { method, path, access, body, query } = described;
  router[method](path, requireIdentity(...kinds[access]), async (req, res) => {
    await handle({
      req,
      res,
      identity: (access === 'user' ? userOf(req) : req.identity) as Call<Who, Body, Query>['identity'],
      body: (body === undefined ? nothing.parse(undefined) : body.parse(jsonBody(req))) as z.infer<Body>,
      query: (query === undefined ? undefined : query.parse(req.query)) as z.infer<Query>,
    });
  });
}
