import express, { type Express, type Request, type Router } from 'express';
import helmet from 'helmet';
import { keySetPath } from '../config/own-paths.ts';

/** Creates an Express app that matches paths exactly, and sends neither `x-powered-by` nor `etag`. */
export function bareApp(): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('case sensitive routing', true);
  app.set('strict routing', true);
  return app;
}

/** Whether a canonical request asks for the key set. The pipeline refuses every other form of it. */
export const asksForKeySet = (request: Request): boolean =>
  request.url === keySetPath &&
  (request.method === 'GET' || request.method === 'HEAD') &&
  request.headersDistinct.host?.length === 1 &&
  // The pipeline does not accept `00` as a length.
  (request.headers['content-length'] ?? '0') === '0' &&
  request.headers['transfer-encoding'] === undefined;

/** Serves the public keys that services verify identity headers with. */
export function keySetRouter(keySet: () => unknown): Router {
  const router = express.Router({ caseSensitive: true, strict: true });
  router.get(keySetPath, helmet(), async (_req, res) => {
    const keys = JSON.stringify(await keySet());
    res.set('cache-control', 'public, max-age=60').type('application/jwk-set+json').send(keys);
  });
  return router;
}
