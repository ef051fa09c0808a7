import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { eventually, type StartedProcess, startProcess } from '@countersign/testing';
import { afterEach, expect, test } from '@jest/globals';
import { describeParts } from '../../stacks/parts.ts';
import { makePlace, repository } from '../../stacks/stack.ts';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** Behaves like a Kubernetes Service address: it refuses connections until `readyUrl` answers 200. */
async function readyOnly(port: number, readyUrl: string): Promise<number> {
  const server = createServer(async (client) => {
    client.on('error', () => {});
    const answer = await fetch(readyUrl).catch(() => undefined);
    await answer?.body?.cancel();
    if (answer?.status !== 200) return void client.resetAndDestroy();
    const process = connect(port, '127.0.0.1').on('error', () => client.destroy());
    client.on('close', () => process.destroy());
    client.pipe(process).pipe(client);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

test('a gateway and an auth-service start in either order, even if each is reachable only when ready', async () => {
  const password = 'correct horse battery staple';
  for (const isGatewayFirst of [true, false]) {
    const place = await makePlace({ databaseUrl: undefined, redisUrl: undefined });
    closing.push(place.remove);
    const [gateway, auth] = describeParts(place, ['gateway', 'auth-service']);
    if (gateway === undefined || auth === undefined) throw new Error('the stack has changed');
    const gatewayAddress = await readyOnly(place.ports.internal, gateway.readyUrl);
    const authAddress = await readyOnly(place.ports.auth, auth.readyUrl);
    const keysUrl = `http://127.0.0.1:${gatewayAddress}/.well-known/jwks.json`;
    const start = ({ args, env }: typeof gateway, more: Readonly<Record<string, string>>): StartedProcess => {
      const started = startProcess({ args, env: { ...env, ...more }, cwd: repository });
      closing.push(() => started.stop());
      return started;
    };
    const starts = [
      () => start(gateway, { AUTH_PORT: String(authAddress) }),
      () => start(auth, { GATEWAY_KEYS_URL: keysUrl }),
    ];
    for (const one of isGatewayFirst ? starts : starts.reverse()) one();
    for (const { readyUrl } of [gateway, auth]) {
      await eventually(async () => expect((await fetch(readyUrl)).status).toBe(200), 60_000);
    }
    const origin = `http://127.0.0.1:${place.ports.gateway}`;
    // This route has no limit. A login has one, which polling would reach.
    const keys = `${origin}/.well-known/jwks.json`;
    await eventually(async () => expect((await fetch(keys)).status).toBe(200), 30_000);
    const login = await fetch(`${origin}/v1/auth/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email: 'agent@acme.test', password }),
    });
    const { access_token: token } = (await login.json()) as { access_token: string };
    await eventually(async () => {
      const sessions = await fetch(`${origin}/v1/auth/sessions`, { headers: { authorization: `Bearer ${token}` } });
      expect([login.status, sessions.status]).toEqual([200, 200]);
    }, 30_000);
    for (const close of closing.splice(0).reverse()) await close();
  }
}, 240_000);
