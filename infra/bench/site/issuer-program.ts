import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { type FeedTimes, revocationPage } from './revocation-pages.ts';

// The auth-service as the gateway sees it: a key set at `/jwks.json`, and at `/revocations/N` a feed with N
// revocations.

const [port, jwksFile = ''] = process.argv.slice(2);
const jwks = readFileSync(jwksFile);
const startedMs = Math.floor(Date.now() / 1000) * 1000;
const times: FeedTimes = {
  notBefore: new Date(startedMs).toISOString(),
  expiresAt: new Date(startedMs + 3_600_000).toISOString(),
};

createServer(async (req, res) => {
  const { pathname, searchParams } = new URL(req.url ?? '/', 'http://issuer.test');
  if (pathname === '/jwks.json') {
    res.setHeader('content-type', 'application/json').end(jwks);
    return;
  }
  const count = Number(/^\/revocations\/(\d+)$/.exec(pathname)?.[1]);
  if (Number.isNaN(count)) {
    res.writeHead(404).end();
    return;
  }
  const after = searchParams.get('log') === `log-${count}` ? Number(searchParams.get('after')) : 0;
  // There is never anything new, so a request at the end of the log waits as long as it may.
  if (after === count) await delay(Number(searchParams.get('wait')) * 1000);
  res
    .setHeader('content-type', 'application/vnd.countersign.revocation-groups+json')
    .end(JSON.stringify(revocationPage(count, after, times)));
}).listen(Number(port), '127.0.0.1');
