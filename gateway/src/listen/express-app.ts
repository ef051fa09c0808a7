import { IncomingMessage, type RequestListener, type ServerOptions, type ServerResponse } from 'node:http';
import express, { type Express, type Request, type Response, type Router } from 'express';
import helmet from 'helmet';
import { keySetPath } from '../config/own-paths.ts';
import { GatewayResponse, type Handlers } from './request-handler.ts';

/** An Express app that matches paths exactly, and sends no `x-powered-by` and no `etag`. */
export function bareApp(): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('case sensitive routing', true);
  app.set('strict routing', true);
  return app;
}

/** What the gateway serves itself on a listener. */
export type OwnRoutes = Readonly<{ covers(request: Request): boolean; router: Router }>;

/** A listener's application, and the classes of its requests and responses. */
export type ListenerApp = Readonly<{
  serve: RequestListener<typeof IncomingMessage, typeof GatewayResponse>;
  classes: Pick<ServerOptions, 'IncomingMessage' | 'ServerResponse'>;
  handlers(): Handlers;
}>;

/** What serves each listener now. A reload replaces it. */
export type Served = Readonly<{ current: Readonly<{ handlers: Readonly<Record<'public' | 'internal', Handlers>> }> }>;

/**
 * The Express application of the public or the internal listener: what the gateway serves itself, then the routes of the configuration.
 *
 * @param served Read once per request, so that every stage of a request sees the same configuration.
 */
export function createListenerApp(served: Served, listener: 'public' | 'internal', own?: OwnRoutes): ListenerApp {
  const handlers = () => served.current.handlers[listener];
  const app = bareApp();
  if (own !== undefined) {
    app.use((request, response, next) => {
      if (!own.covers(request)) {
        next();
        return;
      }
      response.set('x-request-id', handlers().begin(request, response).requestId);
      own.router(request, response, next);
    });
  }
  app.use((request, response, next) => handlers().request(request, response, next));
  return {
    classes: classesOf(app),
    handlers,
    serve(request, response) {
      // Express calls back with an error of its own, or because it finds no path in the target, as in `OPTIONS *`.
      app(request as Request, response as ServerResponse as Response, (error) => {
        if (error === undefined || error === null) handlers().request(request as Request, response, () => {});
        else handlers().refuse(error, request, response);
      });
    },
  };
}

/**
 * Classes whose prototypes are the ones that Express gives to each request and response. It then changes nothing: an object whose
 * prototype changes is slow from then on.
 */
function classesOf(app: Express): ListenerApp['classes'] {
  class AppRequest extends IncomingMessage {}
  class AppResponse extends GatewayResponse {}
  const appProperty = { configurable: true, enumerable: true, writable: true, value: app };
  Object.setPrototypeOf(AppRequest.prototype, app.request);
  Object.defineProperty(AppResponse.prototype, 'app', appProperty);
  Object.assign(app, { request: AppRequest.prototype, response: AppResponse.prototype });
  return { IncomingMessage: AppRequest, ServerResponse: AppResponse as typeof ServerResponse };
}

/** Serves the public keys that services verify identity with. A request that is not canonical is left to the pipeline, which refuses it. */
export const keySetRoutes = (keySet: () => unknown): OwnRoutes => ({
  covers: ({ method, url, headers, headersDistinct }) =>
    url === keySetPath &&
    (method === 'GET' || method === 'HEAD') &&
    headersDistinct.host?.length === 1 &&
    (headers['content-length'] ?? '0') === '0' &&
    headers['transfer-encoding'] === undefined,
  router: keySetRouter(keySet),
});

export function keySetRouter(keySet: () => unknown): Router {
  const router = express.Router({ caseSensitive: true, strict: true });
  router.get(keySetPath, helmet(), (_req, res) => {
    res.set('cache-control', 'public, max-age=60').type('application/jwk-set+json').send(JSON.stringify(keySet()));
  });
  return router;
}
