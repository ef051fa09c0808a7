import express, { type Express, type Request, type Router } from 'express';
import helmet from 'helmet';

/** Creates an Express app that matches paths exactly, and sends neither `x-powered-by` nor `etag`. */
export function bareApp(): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('case sensitive routing', true);
  app.set('strict routing', true);
  return app;
}

/** Whether a canonical request may ask for a published document. The pipeline refuses every other form of it. */
export const mayAskForDocument = (request: Request): boolean =>
  request.url.includes('/.well-known/') &&
  (request.method === 'GET' || request.method === 'HEAD') &&
  request.headersDistinct.host?.length === 1 &&
  // The pipeline does not accept `00` as a length.
  (request.headers['content-length'] ?? '0') === '0' &&
  request.headers['transfer-encoding'] === undefined;

/** Serves the documents that services need to verify identity. @param published Undefined if there is no document. */
export function publishedRouter(published: (path: string) => unknown): Router {
  const router = express.Router({ caseSensitive: true, strict: true });
  const secure = helmet();
  router.use(async (request, response, next) => {
    const document = mayAskForDocument(request) ? await published(request.url) : undefined;
    if (document === undefined) return next();
    secure(request, response, () => {
      const type = request.url.endsWith('jwks.json') ? 'application/jwk-set+json' : 'application/json';
      response.set('cache-control', 'public, max-age=60').type(type).send(JSON.stringify(document));
    });
  });
  return router;
}
