import { requireIdentity, requireRole, requireScope } from '@countersign/identity/express';
import type { Request, RequestHandler, Router } from 'express';
import { z } from 'zod';
import { AppError } from '../errors.ts';
import { formBody, jsonBody } from '../http/body.ts';
import type { Call, Endpoint } from './endpoint.ts';

/** A route takes no query and no body unless it declares one. */
const nothing = z.strictObject({});

/** Adds a declared route to a router: checks the caller, validates the input, then runs the handler. */
export function serve<E extends Endpoint>(
  router: Router,
  declared: E,
  handle: (call: Call<E>) => Promise<unknown> | unknown,
): void {
  const { method, path, callers, roles, scopes } = declared;
  const guards: RequestHandler[] = [requireIdentity(...callers)];
  if (roles !== undefined) guards.push(requireRole(...roles));
  if (scopes !== undefined) guards.push(requireScope(...scopes));
  router[method](path, ...guards, async (req, res) => {
    if (declared.upload !== undefined) assertMediaType(req, Object.keys(declared.upload));
    const call = {
      req,
      res,
      identity: req.identity,
      params: paramsOf(declared, req),
      headers: declared.headers?.parse(req.headers),
      query: (declared.query ?? nothing).parse(req.query),
      body: bodyOf(declared, req),
      reply(status: number, body?: unknown) {
        res.status(status);
        if (body === undefined) res.end();
        else res.json(body);
      },
    };
    await handle(call as unknown as Call<E>);
  });
}

function paramsOf({ params }: Endpoint, req: Request): unknown {
  if (params === undefined) return undefined;
  const parsed = params.safeParse(req.params);
  if (!parsed.success) throw new AppError('not_found');
  return parsed.data;
}

function bodyOf({ body, encoding, upload }: Endpoint, req: Request): unknown {
  // The handler reads an upload itself.
  if (upload !== undefined) return undefined;
  if (body === undefined) return void nothing.parse(jsonBody(req) ?? {});
  return body.parse(encoding === 'form' ? formBody(req) : jsonBody(req));
}

function assertMediaType(req: Request, accepted: string[]): void {
  if (!req.is(accepted)) throw new AppError('unsupported_media_type');
}
