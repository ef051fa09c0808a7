import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { freePorts } from '@countersign/testing';

export type KeyEndpoint = Awaited<ReturnType<typeof keyEndpoint>>;

/**
 * Reserves a port where services fetch the gateway's key set. A test moves it between gateways, and takes it down. It is
 * down at first.
 */
export async function keyEndpoint() {
  const [port = 0] = await freePorts(1);
  let server: Server | undefined;
  async function down(): Promise<void> {
    if (server === undefined) return;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    server = undefined;
    await closed;
  }
  return {
    url: `http://127.0.0.1:${port}/.well-known/jwks.json`,
    /** Answers with the keys of these gateways from now on, given their internal ports. */
    async up(...gateways: readonly number[]) {
      await down();
      const sets = gateways.map((internal) => fetch(`http://127.0.0.1:${internal}/.well-known/jwks.json`));
      const keys = (await Promise.all(sets)).map(async (answer) => ((await answer.json()) as { keys: object[] }).keys);
      const body = JSON.stringify({ keys: (await Promise.all(keys)).flat() });
      server = createServer((_req, res) => void res.end(body)).listen(port, '127.0.0.1');
      await once(server, 'listening');
    },
    /** Refuses connections from now on. */
    down,
  };
}
