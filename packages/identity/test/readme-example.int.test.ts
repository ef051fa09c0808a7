import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { WebSocket } from 'ws';
import { type TestGateway, testGateway } from '../src/testing.ts';
import { listen } from './wire.ts';

/** Starts an example of the README, and calls `use` with its port. */
async function withExample(example: string, gateway: TestGateway, use: (port: number) => Promise<void>): Promise<void> {
  const keyServer = await listen((_req, res) => void res.end(JSON.stringify(gateway.jwks)));
  const port = await freePort();
  const service = spawn(
    process.execPath,
    ['--conditions=source', new URL(`../../../examples/${example}/server.js`, import.meta.url).pathname],
    {
      env: {
        ...process.env,
        PORT: String(port),
        GATEWAY_KEYS_URL: `http://127.0.0.1:${keyServer.port}/.well-known/jwks.json`,
      },
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  );
  try {
    await use(port);
  } finally {
    service.kill('SIGKILL');
    await once(service, 'exit');
    await keyServer.close();
  }
}

test('the README example accepts signed requests and refuses others', async () => {
  const gateway = testGateway({ audience: 'my-service' });
  await withExample('express', gateway, async (port) => {
    const url = `http://127.0.0.1:${port}/hello`;
    // Retries until it listens, has keys, and its nonce memory has started.
    let answer: Response | undefined;
    while (answer?.status !== 200) {
      await wait(20);
      answer = await fetch(url, { headers: gateway.signedRequest({ path: '/hello' }).headers }).catch(() => undefined);
    }
    expect(await answer.json()).toEqual({ hello: 'user-1' });
    const spoofed = await fetch(url, { headers: { 'x-identity': 'user', 'x-user-id': 'user-1' } });
    expect(spoofed.status).toBe(401);
    expect(spoofed.headers.get('x-identity-refused')).toBe('signature_missing');
  });
});

test('the WebSocket example knows who sends each message, and refuses an upgrade that nothing signed', async () => {
  const gateway = testGateway({ audience: 'my-service' });
  await withExample('websocket', gateway, async (port) => {
    /** The first message, or the status of the refusal. */
    const open = (sign: (key: string) => Readonly<Record<string, string>>) =>
      new Promise<string | number | undefined>((resolve) => {
        const client = new WebSocket(`ws://127.0.0.1:${port}/chat`, {
          // ws chooses the key, which the signature covers.
          finishRequest: (request) => {
            for (const [name, value] of Object.entries(sign(String(request.getHeader('sec-websocket-key')))))
              request.setHeader(name, value);
            request.end();
          },
        });
        client.on('open', () => client.send('hi'));
        client.on('message', (data) => {
          client.terminate();
          resolve(String(data));
        });
        client.on('unexpected-response', (request, { statusCode }) => {
          request.destroy();
          resolve(statusCode);
        });
        client.on('error', () => resolve(undefined));
      });
    const signed = (key: string) =>
      gateway.signedRequest({ path: '/chat', upgrade: { protocol: 'websocket', key } }).headers;
    let answer: string | number | undefined;
    while (answer === undefined || answer === 503 || answer === 401) {
      await wait(20);
      answer = await open(signed);
    }
    expect(answer).toBe('user-1: hi');
    expect(await open(() => ({ 'x-identity': 'user', 'x-user-id': 'user-1' }))).toBe(401);
    expect(await open(() => signed('dGhlIHNhbXBsZSBub25jZQ=='))).toBe(401);
    expect(
      await open((key) => {
        const as = { kind: 'client', clientId: 'client-1' } as const;
        return gateway.signedRequest({ path: '/chat', as, upgrade: { protocol: 'websocket', key } }).headers;
      }),
    ).toBe(403);
  });
});

async function freePort(): Promise<number> {
  const holder = createTcpServer().listen(0, '127.0.0.1');
  await once(holder, 'listening');
  const { port } = holder.address() as AddressInfo;
  holder.close();
  await once(holder, 'close');
  return port;
}
