import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';

export type RecordedRequest = Readonly<ReturnType<typeof record>>;

export type RecordingUpstream = Awaited<ReturnType<typeof recordingUpstream>>;

export type UpstreamOptions = Readonly<{
  /** Responds after the whole body was recorded. By default with 200 and `{"ok":true}`. */
  answer?: (request: RecordedRequest, res: ServerResponse) => void;
  /** Handles an upgrade after it was recorded. By default an upgrade arrives as a plain request. */
  upgrade?: (request: RecordedRequest, socket: Duplex) => void;
}>;

/** Starts a real HTTP server that records each request, for assertions in gateway tests. */
export async function recordingUpstream(options: UpstreamOptions = {}) {
  const requests: RecordedRequest[] = [];
  const answer =
    options.answer ?? ((_request, res) => void res.setHeader('content-type', 'application/json').end('{"ok":true}'));
  let underWay = 0;
  const server = createServer(async (req, res) => {
    underWay += 1;
    res.once('close', () => {
      underWay -= 1;
    });
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of req) chunks.push(chunk as Buffer);
    } catch {
      return; // The sender disconnected within the body, so the request is not recorded.
    }
    const recorded = record(req, Buffer.concat(chunks));
    requests.push(recorded);
    answer(recorded, res);
  });
  const upgraded = new Set<Duplex>();
  const { upgrade } = options;
  if (upgrade !== undefined) {
    server.on('upgrade', (req, socket) => {
      upgraded.add(socket);
      socket.once('close', () => upgraded.delete(socket));
      socket.on('error', () => socket.destroy());
      const recorded = record(req, Buffer.alloc(0));
      requests.push(recorded);
      upgrade(recorded, socket);
    });
  }
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    requests: requests as readonly RecordedRequest[],
    /** The last request. Throws if there was none. */
    last() {
      const request = requests.at(-1);
      if (request === undefined) throw new Error('nothing arrived upstream');
      return request;
    },
    /** The number of requests that are arriving or waiting for a response. */
    underWay: () => underWay,
    async close() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of upgraded) socket.destroy();
      server.closeAllConnections();
      await closed;
    },
  };
}

function record(req: IncomingMessage, body: Buffer) {
  const all = Object.entries(req.headersDistinct).map(([name, values = []]) => [name, values.join(', ')]);
  return {
    method: req.method ?? '',
    /** The request target as received. */
    target: req.url ?? '',
    rawHeaders: req.rawHeaders,
    rawTrailers: req.rawTrailers,
    /** Headers with lower-case names. Repeated values are joined by `, `. */
    headers: Object.assign(Object.create(null), Object.fromEntries(all)) as Readonly<Record<string, string>>,
    /** How many times the header with this lower-case name appears. */
    count: (name: string) => req.headersDistinct[name]?.length ?? 0,
    body,
  };
}
