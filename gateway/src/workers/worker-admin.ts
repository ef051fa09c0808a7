import { once } from 'node:events';
import type { Server } from 'node:http';
import {
  ConnectionPool,
  createSocketOpener,
  type GetOptions,
  get as getFrom,
  headerOf,
} from '@countersign/http1-client';
import type { Registry } from '@countersign/service-kit';
import { Router } from 'express';
import type { MetricObjectWithValues, MetricValue } from 'prom-client';

// A worker's admin listener is a Unix socket in a directory that only the gateway's user can open. The primary reads it.

const workerMetricsPath = '/metrics.json';
const answerWithinMs = 2_000;
// A token of an unknown key may need a fetch of the issuer's keys.
const explainWithinMs = 10_000;
const idleMs = 4_000;
// The metrics of a worker with many routes.
const maxBodyBytes = 256 * 1024 * 1024;
const origin = 'http://worker';

/** An answer of a worker's admin listener. */
export type WorkerAnswer = Readonly<{ status: number; type: string; body: string }>;

/** A metric as prom-client writes and aggregates it. */
export type Metric = MetricObjectWithValues<MetricValue<string>>;

/** The primary's client for the admin listener of one process of a worker. */
export class WorkerAdmin {
  /** Of the worker, from 1. */
  readonly number: number;
  readonly #pool: ConnectionPool;

  constructor(number: number, socketPath: string) {
    this.number = number;
    this.#pool = new ConnectionPool(origin, {
      opener: createSocketOpener({ origin, socketPath, connectTimeoutMs: answerWithinMs }),
      connections: 4,
      headersTimeout: answerWithinMs,
      bodyTimeout: answerWithinMs,
      keepAliveTimeout: idleMs,
    });
  }

  /** @throws Error when the worker does not answer within 2 s. */
  get(path: string): Promise<WorkerAnswer> {
    return this.#ask(path, { timeoutMs: answerWithinMs });
  }

  /** Posts JSON. @throws Error when the worker does not answer within 10 s. */
  post(path: string, body: string): Promise<WorkerAnswer> {
    const headers = ['content-type', 'application/json'];
    return this.#ask(path, { headers, post: Buffer.from(body), timeoutMs: explainWithinMs });
  }

  /** @throws Error when the worker does not answer within 2 s. */
  async metrics(): Promise<readonly Metric[]> {
    const { status, body } = await this.get(workerMetricsPath);
    if (status !== 200) throw new Error(`the worker responded with ${status}`);
    return JSON.parse(body);
  }

  close(): Promise<void> {
    return this.#pool.destroy();
  }

  async #ask(path: string, options: Pick<GetOptions, 'headers' | 'post' | 'timeoutMs'>): Promise<WorkerAnswer> {
    const response = await getFrom(this.#pool, path, { maxBodyBytes, ...options });
    const { status, body } = response;
    return { status, type: headerOf(response, 'content-type') ?? '', body: body.toString('utf8') };
  }
}

/** What a worker's admin listener serves in addition to what every gateway's does. */
export function workerAdminRoutes(metrics: Registry): Router {
  const router = Router({ caseSensitive: true, strict: true });
  router.get(workerMetricsPath, async (_req, res) => {
    res.json(await metrics.getMetricsAsJSON());
  });
  return router;
}

/**
 * Listens on a Unix socket. `exclusive` keeps the socket in this worker; without it the primary would listen for all workers.
 *
 * @returns 0, because a Unix socket has no port.
 */
export async function listenOnSocket(server: Server, path: string): Promise<number> {
  server.listen({ path, exclusive: true });
  await once(server, 'listening');
  return 0;
}
