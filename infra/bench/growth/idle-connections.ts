import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { residentBytesOf } from '../machine/process-usage.ts';
import { forkPinned } from '../machine/processes.ts';
import { markdownTable, showNumber } from '../results/markdown.ts';
import type { RunningGateway } from '../site/gateway.ts';

const settleMs = 5_000;

/** Measures the memory of a gateway with this many open connections, each of which has sent one request. */
export async function measureIdle(
  gateway: RunningGateway,
  options: Readonly<{ connections: number; requestsFile: string; cores: string | undefined }>,
): Promise<string> {
  const { connections, requestsFile, cores } = options;
  process.stderr.write(`opening ${connections} connections\n`);
  const before = residentBytesOf(gateway.pid);
  const { port } = new URL(gateway.origin);
  const client = forkPinned(join(import.meta.dirname, 'idle-client-program.ts'), {
    args: [port, requestsFile, String(connections)],
    cores,
  });
  try {
    await client.message();
    await delay(settleMs);
    client.process.send({});
    const { isOpen } = (await client.message()) as { isOpen: number };
    if (isOpen !== connections) throw new Error(`only ${isOpen} of ${connections} connections are open`);
    const after = residentBytesOf(gateway.pid);
    return markdownTable(
      ['idle connections', 'resident MB before', 'resident MB', 'KB a connection'],
      [
        [
          connections.toLocaleString('en-US'),
          showNumber(before / 1_000_000),
          showNumber(after / 1_000_000),
          showNumber((after - before) / 1_000 / connections, 1),
        ],
      ],
    );
  } finally {
    client.process.disconnect();
    await once(client.process, 'exit');
  }
}
