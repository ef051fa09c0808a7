import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import express, { type Express, type Request, type Response, type Router } from 'express';
import helmet from 'helmet';
import { AppError } from '../errors.ts';
import type { RequestRecord } from '../exchange.ts';
import type { Respond } from '../respond.ts';
import type { GatewayResponse } from './gateway-response.ts';

/** An Express app that matches paths exactly, and sends no `x-powered-by` and no `etag`. */
export function bareApp(): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('case sensitive routing', true);
  app.set('strict routing', true);
  return app;
}

/** Endpoints that the gateway serves itself. */
export type OwnRoutes = Readonly<{
  /** The targets that Express routes. Every other target is proxied. */
  targets: readonly string[];
  router: Router;
}>;

export type ListenerAppOptions = Readonly<{
  proxy(request: IncomingMessage, response: ServerResponse): Promise<void>;
  refuse: Respond['http'];
  ownRoutes?: OwnRoutes | undefined;
}>;

/**
 * The application of the public or the internal listener. It takes every request, and serves the gateway's own endpoints.
 *
 * Its `handle` is replaced, because a proxied request needs nothing of Express. The router and the changed prototypes of request and response
 * would cost a quarter of the time of a request.
 */
export function createListenerApp(options: ListenerAppOptions): RequestListener {
  const { proxy, refuse, ownRoutes } = options;
  const app = bareApp() as Express & { handle: ExpressHandle };
  if (ownRoutes !== undefined) app.use(ownRoutes.router);
  app.use((req: Request, res: Response) => proxy(req, res));
  const route = app.handle.bind(app);
  const own: ReadonlySet<string | undefined> = new Set(ownRoutes?.targets);
  app.handle = (request, response) => {
    if (!own.has(request.url)) {
      void proxy(request, response);
      return;
    }
    // Errors of Express itself end here too, never in its own error page.
    route(request, response, (error) => {
      refuse(
        error ?? new AppError('no_route'),
        (response as GatewayResponse).record as RequestRecord,
        request,
        response,
      );
    });
  };
  return app;
}

type ExpressHandle = (request: IncomingMessage, response: ServerResponse, done?: (error?: unknown) => void) => void;

/**
 * Serves the public keys that services verify identity with, on the admin and the internal listener. Non-canonical requests fall through to
 * the next route.
 */
export function keySetRoutes(keySet: () => unknown): OwnRoutes {
  const router = express.Router({ caseSensitive: true, strict: true });
  const path = '/.well-known/jwks.json';
  const isPlain = ({ url, headers, headersDistinct }: Request) =>
    url === path &&
    headersDistinct.host?.length === 1 &&
    (headers['content-length'] ?? '0') === '0' &&
    headers['transfer-encoding'] === undefined;
  router.get(path, helmet(), (req, res, next) => {
    if (!isPlain(req)) {
      next();
      return;
    }
    const { record } = res as { record?: RequestRecord };
    // The admin listener has set this header already, and has no record.
    if (record !== undefined) res.set('x-request-id', record.requestId);
    res.set('cache-control', 'public, max-age=60').type('application/jwk-set+json').send(JSON.stringify(keySet()));
  });
  return { targets: [path], router };
}
