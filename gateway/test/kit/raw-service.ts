import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';

/** A service on a bare socket that sends whatever the test writes. */
export type RawService = Readonly<{
  url: string;
  port: number;
  /** The head of every request so far, unchanged. */
  heads: readonly string[];
  /** The number of connections so far. */
  connections(): number;
  /** Sets how the service answers each request head from now on. */
  answerWith(answer: (socket: Socket, head: string) => void): void;
  close(): Promise<void>;
}>;

const closeAtOnce = (socket: Socket) => void socket.destroy();

/** @param answer Called once for each complete request head. Default: closes the connection. */
export async function rawService(answer: (socket: Socket, head: string) => void = closeAtOnce): Promise<RawService> {
  let current = answer;
  let connections = 0;
  const heads: string[] = [];
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    connections += 1;
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    socket.on('error', () => socket.destroy());
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      const end = text.indexOf('\r\n\r\n');
      // Ignores bodies: text that does not start with a request line is the rest of a body.
      if (end === -1 || !/^[A-Z]+ \S+ HTTP/.test(text)) return;
      const head = text.slice(0, end);
      text = '';
      heads.push(head);
      current(socket, head);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    heads,
    connections: () => connections,
    answerWith(next) {
      current = next;
    },
    async close() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}

/** The value of a header in a request head. */
export const headerIn = (head: string, name: string): string | undefined =>
  new RegExp(`^${name}: (.*)$`, 'im').exec(head)?.[1]?.trim();

/** Edits a gateway's file so that the upstream `things` has these targets and settings. */
export const thingsAt = (targets: readonly string[], settings = ''): readonly [from: string, to: string] => [
  '  things: { targets: ["',
  `  things: { targets: ${JSON.stringify(targets)}, timeouts: { connect: 1s, response: 2s, idle: 2s }${settings === '' ? '' : `, ${settings}`} }\n  unused: { targets: ["`,
];
