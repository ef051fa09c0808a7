import { connect, type Socket } from 'node:net';

export type FloodOptions = Readonly<{
  count: number;
  /** The bytes that each client sends first. */
  write: string;
  /** The bytes that each client sends every second after that. */
  drip?: string;
  reads?: 'all' | 'nothing';
}>;

export type Flood = Readonly<{
  open(): number;
  /** Counts the responses by status, and reports when the last client was disconnected. */
  summary(): string;
}>;

/** Opens clients that share one IP address, which no other client uses, and disconnects them when `use` has ended. */
export async function withFlood<T>(
  port: number,
  { count, write, drip, reads = 'all' }: FloodOptions,
  use: (flood: Flood) => Promise<T>,
): Promise<T> {
  const began = performance.now();
  const answers = new Map<string, number>();
  const open = new Set<Socket>();
  let lastEndMs = 0;

  function follow(socket: Socket): void {
    open.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => {
      open.delete(socket);
      lastEndMs = performance.now() - began;
    });
    if (reads === 'nothing') socket.pause();
    else {
      socket.once('data', (chunk) => {
        const answer = chunk.toString('latin1', 9, 12);
        answers.set(answer, (answers.get(answer) ?? 0) + 1);
      });
    }
    socket.write(write);
  }

  for (let at = 0; at < count; at += 1) follow(connect({ port, host: '127.0.0.1', localAddress: '127.0.2.1' }));
  const dripping = setInterval(() => {
    if (drip !== undefined) for (const socket of open) socket.write(drip);
  }, 1_000);
  try {
    return await use({
      open: () => open.size,
      summary() {
        const shown = [...answers].map(([status, clients]) => `${clients} × ${status}`).join(', ') || 'no answer';
        return lastEndMs === 0 ? shown : `${shown}; the last is disconnected after ${(lastEndMs / 1000).toFixed(1)} s`;
      },
    });
  } finally {
    clearInterval(dripping);
    for (const socket of open) socket.destroy();
  }
}
