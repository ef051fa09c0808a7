import { once } from 'node:events';
import type { Server } from 'node:http';
import type { Registry } from '@countersign/service-kit';
import { Router } from 'express';
import { workerMetricsPath } from './admin-of-all.ts';

/** What a worker's admin listener has for the primary, besides what every gateway's has. */
export function workerAdminRoutes(metrics: Registry): Router {
  const router = Router({ caseSensitive: true, strict: true });
  router.get(workerMetricsPath, async (_req, res) => {
    res.json(await metrics.getMetricsAsJSON());
  });
  return router;
}

/**
 * Listens on a socket in the file system. `exclusive`: otherwise the primary would listen there for all workers.
 *
 * @returns 0, which is no port.
 */
export async function listenOnSocket(server: Server, path: string): Promise<number> {
  server.listen({ path, exclusive: true });
  await once(server, 'listening');
  return 0;
}
