import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';

/** Called for each request head that arrives: its connection, its head, and its number from 1. */
export type Script = (socket: Socket, head: string, count: number) => void;

/** A service on bare sockets. It records everything that arrives. */
export type ScriptedService = Readonly<{
  origin: string;
  port: number;
  /** The connections, in the order in which they opened. */
  connections: readonly Socket[];
  heads: readonly string[];
  /** Returns all bytes received on a connection. */
  received(connection: number): string;
  close(): void;
}>;

/** Starts the service. It finds the end of a head in any bytes, so bodies must not contain one. */
export async function scriptedService(
  script: Script,
  listen: (server: Server) => void = (server) => server.listen(0, '127.0.0.1'),
  create: (onConnection: (socket: Socket) => void) => Server = (onConnection) =>
    createServer({ allowHalfOpen: true }, onConnection),
): Promise<ScriptedService> {
  const connections: Socket[] = [];
  const received: string[] = [];
  const heads: string[] = [];
  const server = create((socket) => {
    const index = connections.push(socket) - 1;
    received.push('');
    let unread = '';
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      const text = chunk.toString('latin1');
      received[index] += text;
      unread += text;
      for (let end = unread.indexOf('\r\n\r\n'); end !== -1; end = unread.indexOf('\r\n\r\n')) {
        const head = unread.slice(0, end);
        unread = unread.slice(end + 4);
        if (!/^[A-Z]+ \S+ HTTP/.test(head)) continue;
        heads.push(head);
        script(socket, head, heads.length);
      }
    });
  });
  listen(server);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    port,
    connections,
    heads,
    received: (connection) => received[connection] ?? '',
    close() {
      server.close();
      for (const socket of connections) socket.destroy();
    },
  };
}

/** Returns a script that answers every request with these bytes. */
export const answers =
  (bytes: string): Script =>
  (socket) =>
    void socket.write(bytes, 'latin1');
