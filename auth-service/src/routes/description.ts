import { createHash } from 'node:crypto';
import { createRouter } from '@countersign/service-kit';
import type { Router } from 'express';
import { endpoints } from './endpoints.ts';
import { describeEndpoints } from './openapi.ts';

/** Path of the OpenAPI description. It is public, because the repository contains the same text. */
export const descriptionPath = '/.well-known/openapi.json';

export function descriptionRoutes(): Router {
  const body = JSON.stringify(describeEndpoints(endpoints));
  const etag = `"${createHash('sha256').update(body).digest('base64url')}"`;
  const router = createRouter();
  router.get(descriptionPath, (_req, res) => {
    res.set({ 'cache-control': 'public, max-age=300', etag }).type('application/json').send(body);
  });
  return router;
}
