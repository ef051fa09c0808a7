import type { Identity, IdentityKind, UserIdentity } from '@countersign/identity';
import { requireIdentity, userOf } from '@countersign/identity/express';
import { jsonBody } from '@countersign/service-kit';
import type { Request, Response, Router } from 'express';
import { z } from 'zod';
import type { ErrorCode } from '../errors.ts';

/** Who may call: `anybody` with or without a token, a `user`, or the `gateway` on its own behalf. */
export type Access = 'anybody' | 'user' | 'gateway';

/**
 * All that a client may know of one route. The same schemas check its requests and make its OpenAPI description; a route
 * without one fails a test.
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
  /** What the schemas do not say. */
  description?: string;
  access: Who;
  /** Absent: no body is read. */
  body?: Body;
  query?: Query;
  /** Schemas of successful answers by status; null has no body. */
  answers: Readonly<Record<number, z.ZodType | null>>;
  /** What it refuses with, besides what every route can: a malformed, oversized or invalid request, 500 and 503. */
  refusals: readonly ErrorCode[];
  /** Members that a refusal carries besides those of every problem (RFC 9457 section 3.2). */
  refusalMembers?: Readonly<Partial<Record<ErrorCode, z.ZodType>>>;
}>;

/** Keeps the schemas' types, so that a handler gets what they let through. */
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
  anybody: ['anonymous', 'user'],
  user: ['user'],
  gateway: ['gateway'],
};

const nothing = z.undefined();

/** Puts a described route in a router: who may call it, what it takes, and then the handler. */
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
