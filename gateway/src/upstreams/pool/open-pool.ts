import { createRequire } from 'node:module';
import {
  ConnectionPool,
  type ConnectionPoolOptions,
  type Dispatcher,
  undiciConnector,
} from '@countersign/http1-client';
import type { Upstream } from '../../config/config.ts';

/** Opens the connections to one target, with the client that the configuration names. */
export const openPool = (client: Upstream['httpClient'], origin: string, options: ConnectionPoolOptions): Dispatcher =>
  client === 'own' ? new ConnectionPool(origin, options) : undiciPool(origin, options);

/** Like the pool of our own client, which does not reuse a connection after its certificates have changed. */
function undiciPool(origin: string, options: ConnectionPoolOptions): Dispatcher {
  const { opener, connections, headersTimeout, bodyTimeout, keepAliveTimeout } = options;
  // Loaded here, because it takes 20 MB that most gateways do not need.
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
  let identity = opener.identity();
  let pool = open();
  return {
    dispatch(request, handler) {
      if (opener.identity() !== identity) {
        void pool.close();
        identity = opener.identity();
        pool = open();
      }
      return pool.dispatch(request, handler);
    },
    close: () => pool.close(),
    destroy: () => pool.destroy(),
  };
}
