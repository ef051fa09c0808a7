import { createHash } from 'node:crypto';
import type { Router } from 'express';
import { createRouter } from '../http/service-app.ts';
import { type Api, describeApi } from './openapi.ts';

/** Serves a service's OpenAPI description. It is public, because the repository contains the same text. */
export function descriptionRoutes(api: Api, path = '/.well-known/openapi.json'): Router {
  const body = JSON.stringify(describeApi(api));
  const etag = `"${createHash('sha256').update(body).digest('base64url')}"`;
  const router = createRouter();
  router.get(path, (_req, res) => {
    res.set({ 'cache-control': 'public, max-age=300', etag }).type('application/json').send(body);
  });
  return router;
}
