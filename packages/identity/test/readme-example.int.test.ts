import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { testGateway } from '../src/testing.ts';
import { listen } from './wire.ts';

test('the README example accepts signed requests and refuses others', async () => {
  const gateway = testGateway({ audience: 'my-service' });
  const keyServer = await listen((_req, res) => void res.end(JSON.stringify(gateway.jwks)));
  const port = await freePort();
  const service = spawn(
    process.execPath,
    ['--conditions=source', new URL('../../../examples/express/server.js', import.meta.url).pathname],
    {
      env: {
        ...process.env,
        PORT: String(port),
        GATEWAY_KEYS_URL: `http://127.0.0.1:${keyServer.port}/.well-known/jwks.json`,
      },
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  );
  const url = `http://127.0.0.1:${port}/hello`;
  try {
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
  } finally {
    service.kill('SIGKILL');
    await once(service, 'exit');
    await keyServer.close();
  }
});

async function freePort(): Promise<number> {
  const holder = createTcpServer().listen(0, '127.0.0.1');
  await once(holder, 'listening');
  const { port } = holder.address() as AddressInfo;
  holder.close();
  await once(holder, 'close');
  return port;
}
