import { once } from 'node:events';
import { createServer, request } from 'node:http';
import { connect } from 'node:net';
import { eventually } from '@countersign/testing';
import { afterEach, expect, test } from '@jest/globals';
import { drainServer, listen } from './listening.ts';

const server = createServer((_req, res) => res.end('{}'));
afterEach(() => server.closeAllConnections());

/** @returns The status, or the code of the error. */
async function ask(port: number): Promise<number | string> {
  const asking = request({ port, host: '127.0.0.1', agent: false }).end();
  try {
    const [answer] = await once(asking, 'response');
    answer.resume();
    return answer.statusCode;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

test('a closing server responds to connections queued in the kernel, and refuses later ones', async () => {
  const port = await listen(server, { host: '127.0.0.1', port: 0 }, 'test');
  const queued = Array.from({ length: 100 }, () => ask(port));
  // By then the kernel has queued the connections, and Node.js has not accepted them yet.
  await new Promise<void>((resolve) => process.nextTick(resolve));
  await drainServer(server, 10_000);
  expect(new Set(await Promise.all(queued))).toEqual(new Set([200]));
  expect(await ask(port)).toBe('ECONNREFUSED');
});

test('a closing server responds to a client that connected earlier and sends its request now', async () => {
  const port = await listen(server, { host: '127.0.0.1', port: 0 }, 'test');
  const client = connect(port, '127.0.0.1');
  await once(client, 'connect');
  const drained = drainServer(server, 10_000);
  await eventually(() => expect(server.listening).toBe(false));
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  const [received] = await once(client, 'data');
  expect(String(received)).toMatch(/^HTTP\/1\.1 200 .*\r\nconnection: close\r\n/is);
  await drained;
});
