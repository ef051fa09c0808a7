import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  type AgreementOptions,
  createVerifier,
  type GatewayKeys,
  gatewayKeys,
  memoryReplay,
  type ReplayStore,
  verifyUpgrade,
} from '@countersign/identity';
import { verifyIdentity } from '@countersign/identity/express';
import express from 'express';

/** How a received request was signed, and whether it was handled. */
export type Arrived = Readonly<{ method: string; path: string; alg: string; keyid: string; outcome: string }>;

export type AgreedService = Readonly<{
  url: string;
  /** Requests in the order in which they were answered. */
  arrived: readonly Arrived[];
  /** How often the key set was requested. */
  keyFetches(): number;
  /** Trusts the gateway with this key set from now on, like a service that has just started. */
  trust(keysUrl: string, agreement?: AgreementOptions): Promise<void>;
  /** Answers key set requests from now on. If undefined, the service itself answers them. */
  answerKeys(answer: RequestListener | undefined): void;
  /** Closes the connection of the next request that is signed with ed25519. */
  breakNextEd25519(): void;
  close(): Promise<void>;
}>;

const keySetPath = '/.well-known/jwks.json';

/** A real service in Express, with @countersign/identity, that can change its keys. */
export async function agreedService(audience = 'things', port = 0): Promise<AgreedService> {
  const arrived: Arrived[] = [];
  let app: RequestListener = (_req, res) => void res.writeHead(503).end();
  let onUpgrade = verifyUpgrade({ verifier: createVerifier({ audience, keys: noKeys, replay: noMemory }) });
  let keysAnswer: RequestListener | undefined;
  let keyFetches = 0;
  let stopKeys = () => {};
  let breaksNext = false;
  const algorithmOf = (rawHeaders: readonly string[]) =>
    /;alg="([^"]+)"/.exec(rawHeaders.find((text) => text.startsWith('countersign=(')) ?? '')?.[1];
  const note = (rawHeaders: readonly string[], method = '', path = '', outcome = '') => {
    const input = rawHeaders[rawHeaders.findIndex((text) => text.toLowerCase() === 'signature-input') + 1] ?? '';
    const [, keyid = '', alg = ''] = /;keyid="([^"]+)";alg="([^"]+)"/.exec(input) ?? [];
    arrived.push({ method, path, alg, keyid, outcome });
  };
  const server = createServer((req, res) => {
    if (req.url === keySetPath) {
      keyFetches += 1;
      if (keysAnswer !== undefined) return void keysAnswer(req, res);
    } else {
      const { rawHeaders, method, url } = req;
      const received = [...rawHeaders];
      if (breaksNext && algorithmOf(received) === 'ed25519') {
        breaksNext = false;
        note(received, method, url, 'broken');
        return void req.socket.destroy();
      }
      res.once('finish', () =>
        note(received, method, url, String(res.getHeader('x-identity-refused') ?? res.statusCode)),
      );
    }
    app(req, res);
  });
  server.on('upgrade', async (req, socket) => {
    const received = [...req.rawHeaders];
    const identity = await onUpgrade(req, socket);
    note(received, req.method, req.url, identity === undefined ? 'refused' : '101');
    if (identity === undefined) return;
    socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    arrived,
    keyFetches: () => keyFetches,
    async trust(keysUrl, agreement) {
      const keys = gatewayKeys({ url: keysUrl, cooldownMs: 100 });
      await keys.start();
      // As if it had started some time ago.
      const replay = memoryReplay({ nowMs: () => Date.now() - 60_000 });
      const verifier = createVerifier({ audience, keys, replay, ...(agreement && { agreement }) });
      const next = express();
      next.use(verifyIdentity({ verifier, stream: ({ originalUrl }) => originalUrl === '/v1/upload' }));
      next.get(/^(?!.*well-known)/, (_req, res) => void res.json({ ok: true }));
      next.post(/.*/, (_req, res) => void res.json({ ok: true }));
      stopKeys();
      stopKeys = () => keys.stop();
      app = next;
      onUpgrade = verifyUpgrade({ verifier, kinds: ['user', 'anonymous'] });
    },
    answerKeys(answer) {
      keysAnswer = answer;
    },
    breakNextEd25519() {
      breaksNext = true;
    },
    async close() {
      stopKeys();
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

const noKeys: GatewayKeys = { lookup: () => undefined };
const noMemory: ReplayStore = { claim: () => 'replayed' };
