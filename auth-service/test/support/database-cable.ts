import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A database connection that can be cut, or lose the response to a commit. */
export async function databaseCable(serverUrl: string) {
  const { hostname, port } = new URL(serverUrl);
  const sockets = new Set<Socket>();
  let losesCommits = false;
  const server = createServer((near) => {
    const far = connect(Number(port || 5432), hostname);
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    }
    near.on('data', (chunk) => {
      // Stops forwarding the server's responses: it commits, but the client gets no confirmation.
      if (losesCommits && /\bcommit\0/i.test(chunk.toString('latin1'))) far.unpipe(near);
    });
    near.pipe(far).pipe(near);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    loseCommits(): void {
      losesCommits = true;
    },
    cut(): void {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
