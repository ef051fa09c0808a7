import express, { type Express, type Request, type Router } from 'express';
import helmet from 'helmet';
import type { RequestRecord } from '../exchange.ts';

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
