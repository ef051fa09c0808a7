import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import {
  ConnectionPool,
  type ConnectionPoolOptions,
  type Dispatcher,
  undiciConnector,
} from '@countersign/http1-client';
import { createReloader, type Logger } from '@countersign/process-kit';
import type { Upstream, UpstreamTls } from '../../config/config.ts';
import { readTlsFiles, type TlsMaterial } from '../../config/files.ts';

export type TlsFiles = ReturnType<typeof createReloader<TlsMaterial>>;

/** Reads the PEM files now and every 5 s. Invalid ones never replace valid ones, but throw StartupError now. */
export const openTlsFiles = (name: string, tls: UpstreamTls, logger: Logger): TlsFiles =>
  createReloader({
    what: `TLS files of upstream ${name}`,
    load: () => readTlsFiles(tls),
    fingerprint: ({ ca, cert, key }) =>
      createHash('sha256')
        .update(JSON.stringify([ca, cert, key]))
        .digest('base64'),
    logger,
  });

export const connectPool = (
  client: Upstream['httpClient'],
  origin: string,
  options: ConnectionPoolOptions,
): Dispatcher => (client === 'own' ? new ConnectionPool(origin, options) : undiciPool(origin, options));

/** Opens an undici pool. Like our own client's pool, it never reuses a connection whose certificates have changed. */
function undiciPool(origin: string, options: ConnectionPoolOptions): Dispatcher {
  const { opener, connections, headersTimeout, bodyTimeout, keepAliveTimeout } = options;
  // Loaded on demand, because it takes 20 MB that most gateways do not need.
  const { Pool } = createRequire(import.meta.url)('undici') as typeof import('undici');
  const open = () =>
    new Pool(origin, {
      connect: undiciConnector(opener),
      connections: Number.isFinite(connections) ? connections : null,
      headersTimeout,
      bodyTimeout,
      ...(keepAliveTimeout > 0 ? { keepAliveTimeout, pipelining: 1 } : { pipelining: 0 }),
      allowH2: false,
    });
  let identity = opener.identity?.();
  let pool = open();
  return {
    dispatch(request, handler) {
      if (opener.identity?.() !== identity) {
        void pool.close();
        identity = opener.identity?.();
        pool = open();
      }
      return pool.dispatch(request, handler);
    },
    close: () => pool.close(),
    destroy: () => pool.destroy(),
  };
}
