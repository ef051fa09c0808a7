import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

const batchSize = 5_000;

export type FeedTimes = Readonly<{ notBefore: string; expiresAt: string }>;

/**
 * Returns one batch of a feed with this many revoked sessions, in groups (docs/operations/revocations.md). None of
 * them belongs to a benchmark token.
 */
export function revocationBatch(count: number, after: number, { notBefore, expiresAt }: FeedTimes) {
  const cursor = Math.min(count, after + batchSize);
  // As long as a UUID.
  const idOf = (index: number) => `01890a5d-0000-7000-8000-${index.toString(16).padStart(12, '0')}`;
  const ids = Array.from({ length: cursor - after }, (_, index) => idOf(after + index));
  const groups = [{ kind: 'session', ids, not_before: notBefore, expires_at: expiresAt }];
  return { log: `log-${count}`, cursor, complete: cursor === count, groups: ids.length === 0 ? [] : groups };
}

/**
 * The auth-service as the gateway sees it: a key set at `/jwks.json`, and at `/revocations/N` a feed with N
 * revocations.
 */
export async function startIssuer(jwks: object): Promise<Readonly<{ origin: string; stop(): Promise<void> }>> {
  const startedMs = Math.floor(Date.now() / 1000) * 1000;
  const [notBefore, expiresAt] = [new Date(startedMs).toISOString(), new Date(startedMs + 3_600_000).toISOString()];
  const server = createServer(async (req, res) => {
    const { pathname, searchParams } = new URL(req.url ?? '/', 'http://issuer.test');
    if (pathname === '/jwks.json') {
      res.setHeader('content-type', 'application/json').end(JSON.stringify(jwks));
      return;
    }
    const count = Number(/^\/revocations\/(\d+)$/.exec(pathname)?.[1]);
    if (Number.isNaN(count)) {
      res.writeHead(404).end();
      return;
    }
    const after = searchParams.get('log') === `log-${count}` ? Number(searchParams.get('after')) : 0;
    // The log never grows, so a request at its end waits for the maximum time.
    if (after === count) await delay(Number(searchParams.get('wait')) * 1000, undefined, { ref: false });
    res
      .setHeader('content-type', 'application/vnd.countersign.revocation-groups+json')
      .end(JSON.stringify(revocationBatch(count, after, { notBefore, expiresAt })));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async stop() {
      server.close().closeAllConnections();
    },
  };
}
