import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { silentLogger } from '@countersign/testing';
import { expect, test } from '@jest/globals';
import { exampleConfig } from '../../test/kit/example-config.ts';
import { OpenUpstream } from './pool/open-upstream.ts';
import { createRevocationSource } from './revocation-source.ts';

const drip: RequestListener = (_req, res) => {
  const timer = setInterval(() => res.write(' '), 20);
  res.once('close', () => clearInterval(timer));
};

const originOf = (server: Server): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

function sourceAt(targets: readonly string[]) {
  const example = exampleConfig().upstreams.get('users-service');
  if (example === undefined) throw new Error('no upstream');
  const upstream = { ...example, targets };
  const opened = new OpenUpstream(upstream, { logger: silentLogger() });
  const { privateKey } = generateKeyPairSync('ed25519');
  const ask = createRevocationSource({
    url: `${targets[0]}/internal/revocations`,
    opened,
    keyFor: () => ({ algorithm: 'ed25519', keyid: 'k', privateKey }),
    lifetimeSec: 30,
    nowMs: Date.now,
    graceMs: 100,
  });
  return { ask, opened };
}

test.each<[name: string, answer: RequestListener]>([
  ['never begins', () => {}],
  ['never ends', drip],
  ['is an endless error response', (req, res) => drip(req, res.writeHead(500))],
])('abandons a response that %s, and closes its connection', async (_name, answer) => {
  let open = 0;
  const server = createServer(answer).on('connection', (socket) => {
    open += 1;
    socket.once('close', () => {
      open -= 1;
      if (open === 0) server.emit('quiet');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { ask, opened } = sourceAt([originOf(server)]);
  const quiet = once(server, 'quiet');
  await expect(ask({ position: undefined, waitSec: 0 }, new AbortController().signal)).rejects.toThrow();
  await quiet;
  await opened.stop();
  server.close();
});

const page = { log: 'L1', cursor: 7, complete: true, items: [] };

test.each<[name: string, answer: RequestListener]>([
  ['is not a batch', (_req, res) => void res.end('{"status":"ok"}')],
  ['is not JSON', (_req, res) => void res.end('<html>')],
  ['is an error', (_req, res) => void res.writeHead(500).end()],
  ['never begins', () => {}],
])("a response that %s does not delay the other target's batch", async (_name, answer) => {
  const wrong = createServer(answer).listen(0, '127.0.0.1');
  await once(wrong, 'listening');
  // The valid target responds after the invalid one.
  const right = createServer((_req, res) => void setImmediate(() => res.end(JSON.stringify(page))));
  right.listen(0, '127.0.0.1');
  await once(right, 'listening');
  const { ask, opened } = sourceAt([originOf(wrong), originOf(right)]);
  const question = { position: undefined, waitSec: 1 };
  const read = await Promise.all([1, 2].map(() => ask(question, new AbortController().signal)));
  for (const server of [wrong, right]) {
    server.close();
    server.closeAllConnections();
  }
  await opened.stop();
  expect(read).toMatchObject([{ cursor: 7 }, { cursor: 7 }]);
});
