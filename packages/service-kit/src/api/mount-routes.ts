import { requireIdentity, requireRole, requireScope } from '@countersign/identity/express';
import { AppError, createRouter, formBody, jsonBody } from '@countersign/process-kit';
import type { Request, RequestHandler, Response, Router } from 'express';
import { z } from 'zod';
import type { Call, Endpoint, Route } from './endpoint.ts';

/** A route accepts no query and no body unless it declares one. */
const nothing = z.strictObject({});

/** Replaces Zod's messages where they name types of JavaScript instead of what is wrong. */
const inWords = {
  error: ({ code, input, expected }: z.core.$ZodRawIssue): string | undefined => {
    if (code !== 'invalid_type') return undefined;
    return input === undefined ? 'is required' : `must be ${/^[aeio]/.test(String(expected)) ? 'an' : 'a'} ${expected}`;
  },
};

/** Mounts declared routes in order. Each checks the caller, validates the input, then runs the handler. */
export function mountRoutes<Parts>(routes: readonly Route<Parts>[], parts: Parts): Router {
  const router = createRouter();
  for (const { endpoint, handle } of routes) {
    const { method, path, callers, roles, scopes } = endpoint;
    const guards: RequestHandler[] = [requireIdentity(...callers)];
    if (roles !== undefined) guards.push(requireRole(...roles));
    if (scopes !== undefined) guards.push(requireScope(...scopes));
    router[method](path, ...guards, async (req, res) => {
      if (endpoint.upload !== undefined) assertMediaType(req, Object.keys(endpoint.upload));
      await handle(callOf(endpoint, req, res), parts);
    });
  }
  return router;
}

function callOf(endpoint: Endpoint, req: Request, res: Response): Call<Endpoint> {
  const call = {
    req,
    res,
    identity: req.identity,
    params: paramsOf(endpoint, req),
    headers: endpoint.headers?.parse(req.headers, inWords),
    query: (endpoint.query ?? nothing).parse(req.query, inWords),
    body: bodyOf(endpoint, req),
    reply(status: number, body?: unknown) {
      res.status(status);
      if (body === undefined) res.end();
      else res.json(body);
    },
  };
  return call as unknown as Call<Endpoint>;
}

function paramsOf({ params }: Endpoint, req: Request): unknown {
  if (params === undefined) return undefined;
  const parsed = params.safeParse(req.params);
  if (!parsed.success) throw new AppError('not_found');
  return parsed.data;
}

function bodyOf({ body, encoding, upload }: Endpoint, req: Request): unknown {
  // Handlers read uploads themselves.
  if (upload !== undefined) return undefined;
  if (body === undefined) return void nothing.parse(jsonBody(req) ?? {}, inWords);
  return body.parse(encoding === 'form' ? formBody(req) : jsonBody(req), inWords);
}

function assertMediaType(req: Request, accepted: string[]): void {
  if (!req.is(accepted)) throw new AppError('unsupported_media_type');
}
