import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';

// Linux uses ports from 32768 for outgoing connections and for servers that listen on 0.
const firstPort = 10_000;
const endOfPorts = 32_768;
// Each Jest worker has ports of its own, because another one could take a port before the process here does.
const workers = 16;
const ownPort = Number(process.env.JEST_WORKER_ID ?? 0) % workers;
const given = new Set<number>();
/** `fetch` refuses to connect to this port (WHATWG Fetch, "bad port"). */
const badPort = 10_080;

/**
 * Returns different ports that were just free, for processes that need their port as configuration. Servers in the
 * test's own process should listen on 0 instead.
 */
export async function freePorts(count: number): Promise<number[]> {
  const servers = new Map<number, Server>();
  while (servers.size < count) {
    const port = randomInt(firstPort / workers, endOfPorts / workers) * workers + ownPort;
    if (port === badPort || given.has(port)) continue;
    const server = await listenOn(port);
    if (server === undefined) continue;
    servers.set(port, server);
    given.add(port);
  }
  for (const server of servers.values()) {
    server.close();
    await once(server, 'close');
  }
  return [...servers.keys()];
}

/** @returns Undefined if the port is taken. */
async function listenOn(port: number): Promise<Server | undefined> {
  const server = createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
    return server;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return undefined;
    throw error;
  }
}
