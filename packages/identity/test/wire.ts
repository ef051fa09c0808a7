import { createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import type { Message, Pair } from './forge.ts';

export type RawResponse = Readonly<{ status: number; headers: ReadonlyMap<string, string>; body: string }>;

export async function listen(
  handler: RequestListener | Server,
): Promise<{ server: Server; port: number; close(): Promise<void> }> {
  const server = typeof handler === 'function' ? createServer(handler) : handler;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    server,
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

/** Writes each piece to a socket unchanged, and reads until the server closes it. */
export function exchange(port: number, ...pieces: (string | Buffer)[]): Promise<RawResponse> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => {
      const next = () => {
        const piece = pieces.shift();
        if (piece !== undefined) socket.write(piece, () => setImmediate(next));
      };
      next();
    });
    socket.setNoDelay(true);
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('end', () => socket.end());
    socket.on('close', () => resolve(parse(Buffer.concat(chunks).toString('latin1'))));
    socket.on('error', reject);
  });
}

export function headOf({ method, target, headers }: Message, more: Pair[] = []): string {
  const lines = [['host', 'service.test'], ['connection', 'close'], ...headers, ...more].map(
    ([n, v]) => `${n}: ${v}\r\n`,
  );
  return `${method} ${target} HTTP/1.1\r\n${lines.join('')}\r\n`;
}

export function sendMessage(port: number, message: Message, more: Pair[] = []): Promise<RawResponse> {
  return exchange(port, Buffer.concat([Buffer.from(headOf(message, more), 'latin1'), message.body]));
}

function parse(text: string): RawResponse {
  const [head = '', ...rest] = text.split('\r\n\r\n');
  const [statusLine = '', ...lines] = head.split('\r\n');
  const headers = new Map(
    lines.map((line): Pair => [line.split(':', 1)[0]?.toLowerCase() ?? '', line.slice(line.indexOf(':') + 1).trim()]),
  );
  return { status: Number(statusLine.split(' ')[1]), headers, body: rest.join('\r\n\r\n') };
}
