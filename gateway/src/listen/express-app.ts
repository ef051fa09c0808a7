import express, { type Express, type Request, type Router } from 'express';
import helmet from 'helmet';
import { keySetPath } from '../config/own-paths.ts';

/** An Express app that matches paths exactly, and sends no `x-powered-by` and no `etag`. */
export function bareApp(): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('case sensitive routing', true);
  app.set('strict routing', true);
  return app;
}

/** A request that is not canonical is left to the pipeline, which refuses it. */
export const asksForKeySet = (request: Request): boolean =>
  request.url === keySetPath &&
  (request.method === 'GET' || request.method === 'HEAD') &&
  request.headersDistinct.host?.length === 1 &&
  // `00` is not a length that the pipeline accepts.
  (request.headers['content-length'] ?? '0') === '0' &&
  request.headers['transfer-encoding'] === undefined;

/** Serves the public keys that services verify identity with. */
export function keySetRouter(keySet: () => unknown): Router {
  const router = express.Router({ caseSensitive: true, strict: true });
  router.get(keySetPath, helmet(), async (_req, res) => {
    const keys = JSON.stringify(await keySet());
    res.set('cache-control', 'public, max-age=60').type('application/jwk-set+json').send(keys);
  });
  return router;
}
