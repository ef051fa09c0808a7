import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { silentLogger } from '@countersign/testing';
import { expect, test } from '@jest/globals';
import { exampleConfig } from '../../test/kit/example-config.ts';
import { openUpstream } from './open-upstream.ts';
import { createRevocationSource } from './revocation-source.ts';

const drip: RequestListener = (_req, res) => {
  const timer = setInterval(() => res.write(' '), 20);
  res.once('close', () => clearInterval(timer));
};

test.each<[name: string, answer: RequestListener]>([
  ['never begins', () => {}],
  ['never ends', drip],
  ['is an error that never ends', (req, res) => drip(req, res.writeHead(500))],
])('an answer that %s is given up, and its connection ends', async (_name, answer) => {
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
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const example = exampleConfig().upstreams.get('users-service');
  if (example === undefined) throw new Error('no upstream');
  const upstream = { ...example, targets: [origin] };
  const opened = openUpstream(upstream, { logger: silentLogger() });
  const { privateKey } = generateKeyPairSync('ed25519');
  const ask = createRevocationSource({
    url: `${origin}/internal/revocations`,
    upstream,
    opened,
    keyFor: () => ({ algorithm: 'ed25519', keyid: 'k', privateKey }),
    lifetimeSec: 30,
    nowMs: Date.now,
    graceMs: 100,
  });
  const quiet = once(server, 'quiet');
  await expect(ask({ position: undefined, waitSec: 0 }, new AbortController().signal)).rejects.toThrow();
  await quiet;
  await opened.close();
  server.close();
});
