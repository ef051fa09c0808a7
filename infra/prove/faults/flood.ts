import { connect, type Socket } from 'node:net';

export type FloodOptions = Readonly<{
  count: number;
  /** The bytes that each client sends first. */
  write: string;
  /** The bytes that each client sends every second after that. */
  drip?: string;
  reads?: 'all' | 'nothing';
}>;

/** What one client got. */
export type Result = Readonly<{
  /** Status and code of its first response, such as `429 rate_limited`, and the code of a WebSocket's close frame. */
  answer: string;
  /** When it was disconnected, in seconds since the flood began. Infinity while it is connected. */
  endedSec: number;
}>;

export type Flood = Readonly<{ results(): readonly Result[] }>;

type Client = { socket: Socket; start: string; endedSec: number };
const enough = 4_096;

/** Opens clients that share one IP address, which no other client uses, and disconnects them when `use` has ended. */
export async function withFlood<T>(
  port: number,
  { count, write, drip, reads = 'all' }: FloodOptions,
  use: (flood: Flood) => Promise<T>,
): Promise<T> {
  const began = performance.now();
  const clients = Array.from({ length: count }, () => {
    const socket = connect({ port, host: '127.0.0.1', localAddress: '127.0.2.1' });
    const client: Client = { socket, start: '', endedSec: Infinity };
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk) => {
      if (client.start.length < enough) client.start += chunk.toString('latin1');
    });
    socket.once('close', () => {
      client.endedSec = (performance.now() - began) / 1000;
    });
    if (reads === 'nothing') socket.pause();
    socket.write(write);
    return client;
  });
  const dripping = setInterval(() => {
    if (drip !== undefined) for (const { socket } of clients) if (socket.writable) socket.write(drip);
  }, 1_000);
  try {
    return await use({
      results: () => clients.map(({ start, endedSec }) => ({ answer: answerOf(start), endedSec })),
    });
  } finally {
    clearInterval(dripping);
    for (const { socket } of clients) socket.destroy();
  }
}

function answerOf(start: string): string {
  const status = start.slice(9, 12) || 'no answer';
  const code = /"code":"(\w+)"/.exec(start)?.[1];
  const closeCode = /\r\n\r\n\x88.(..)/s.exec(start)?.[1];
  if (closeCode !== undefined) return `${status} closed with ${Buffer.from(closeCode, 'latin1').readUInt16BE()}`;
  return code === undefined ? status : `${status} ${code}`;
}
