import { createServer } from 'node:http';
import { Pool } from 'undici';

// The baseline: the most that Node can do with its own server and undici. Checks nothing, and changes no header.

const [port, upstream = ''] = process.argv.slice(2);
const pool = new Pool(upstream, { connections: 64, pipelining: 1 });

createServer((req, res) => {
  pool.dispatch(
    { path: req.url ?? '/', method: 'GET', headers: req.rawHeaders },
    {
      onRequestStart() {},
      onResponseStart(_controller, status, headers) {
        res.writeHead(status, headers);
      },
      onResponseData(_controller, chunk) {
        res.write(chunk);
      },
      onResponseEnd() {
        res.end();
      },
      onResponseError() {
        res.destroy();
      },
    },
  );
}).listen(Number(port), '127.0.0.1');
