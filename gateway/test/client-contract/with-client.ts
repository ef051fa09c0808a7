import { ClientPool } from '../../src/upstreams/client/client-pool.ts';
import { createSocketOpener } from '../../src/upstreams/client/open-socket.ts';
import { Collector, defaults, type Subject } from './subject.ts';

/** The gateway's own client. */
export const withClient: Subject = {
  name: 'client',
  open(settings) {
    const { origin, tls, maxConnections, connectMs, headMs, bodyMs, idleMs } = { ...defaults, ...settings };
    const pool = new ClientPool({
      host: new URL(origin).host,
      opener: createSocketOpener({ origin, connectTimeoutMs: connectMs, tls }),
      maxConnections,
      queueTimeoutMs: connectMs,
      headTimeoutMs: headMs,
      bodyTimeoutMs: bodyMs,
      idleTimeoutMs: idleMs,
    });
    return {
      send(request = {}) {
        const { method = 'GET', path = '/', headers = [], body, bodyLength } = request;
        const collector = new Collector(request);
        const exchange = pool.send(
          { method, path, headers, body: body ?? null, bodyLength },
          {
            onSent: () => collector.sent(),
            onHead: (status, fields) => collector.head(status, fields),
            onData: (chunk) => collector.data(chunk),
            onEnd: (trailers) => collector.end(trailers),
            onError: (error) => collector.failed(error),
          },
        );
        return {
          outcome: collector.outcome,
          abort: (reason) => exchange.abort(reason),
          resume: () => exchange.resume(),
        };
      },
      async close() {
        pool.destroy();
        await pool.close();
      },
    };
  },
};
