import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { residentBytesOf } from '../machine/process-usage.ts';
import { markdownTable, showNumber } from '../results/markdown.ts';
import type { RunningGateway } from '../site/gateway.ts';

const settleMs = 5_000;
const openedAtOnce = 100;

/** Measures the memory of a gateway with this many open connections, each of which has sent one request. */
export async function measureIdle(
  gateway: RunningGateway,
  { connections, requestsFile }: Readonly<{ connections: number; requestsFile: string }>,
): Promise<string> {
  process.stderr.write(`opening ${connections} connections\n`);
  const before = residentBytesOf(gateway.pid);
  const requests = readFileSync(requestsFile, 'utf8').trimEnd().split('\n');
  const sockets: Socket[] = [];
  const openNext = async (): Promise<void> => {
    while (sockets.length < connections) {
      const socket = connect({ port: Number(new URL(gateway.origin).port), host: '127.0.0.1' });
      const [path, token] = (requests[sockets.push(socket) % requests.length] ?? '').split(' ');
      socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${token}\r\n\r\n`);
      const [response] = await once(socket, 'data');
      if (!String(response).startsWith('HTTP/1.1 200 ')) throw new Error(`unexpected response: ${response}`);
    }
  };
  try {
    await Promise.all(Array.from({ length: openedAtOnce }, openNext));
    await delay(settleMs);
    const isOpen = sockets.filter(({ readyState }) => readyState === 'open').length;
    if (isOpen !== connections) throw new Error(`only ${isOpen} of ${connections} connections are open`);
    const after = residentBytesOf(gateway.pid);
    const megabytes = [before, after].map((bytes) => showNumber(bytes / 1_000_000));
    const each = showNumber((after - before) / 1_000 / connections, 1);
    return markdownTable(
      ['idle connections', 'resident MB before', 'resident MB', 'KB a connection'],
      [[showNumber(connections), ...megabytes, each]],
    );
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}
