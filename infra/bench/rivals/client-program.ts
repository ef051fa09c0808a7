import { createServer } from 'node:http';
import { ConnectionPool, createSocketOpener, latin1Fields } from '@countersign/http1-client';

// The baseline with the gateway's own HTTP client instead of undici.

const [port, upstream = ''] = process.argv.slice(2);
const pool = new ConnectionPool(upstream, {
  opener: createSocketOpener({ origin: upstream, connectTimeoutMs: 1_000 }),
  connections: 64,
  headersTimeout: 30_000,
  bodyTimeout: 60_000,
  keepAliveTimeout: 4_000,
});
// The client writes its own header.
const isOwn = (name: string) => /^(?:host|connection|keep-alive)$/i.test(name);
const withoutOwn = (flat: readonly string[]) => flat.filter((_, at) => !isOwn(flat[at - (at % 2)] ?? ''));

createServer((req, res) => {
  pool.dispatch(
    { path: req.url ?? '/', method: 'GET', headers: withoutOwn(req.rawHeaders), body: null },
    {
      onRequestStart() {},
      onResponseStart: ({ rawHeaders }, status) => void res.writeHead(status, withoutOwn(latin1Fields(rawHeaders))),
      onResponseData: (_controller, chunk) => void res.write(chunk),
      onResponseEnd: () => void res.end(),
      onResponseError: () => void res.destroy(),
    },
  );
}).listen(Number(port), '127.0.0.1');
