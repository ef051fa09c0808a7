import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';

export type RecordedRequest = Readonly<{
  method: string;
  /** The request target as received. */
  target: string;
  rawHeaders: readonly string[];
  rawTrailers: readonly string[];
  /** Headers with lower-case names. Repeated values are joined by `, `. */
  headers: Readonly<Record<string, string>>;
  /** How many times the header with this lower-case name appears. */
  count(name: string): number;
  body: Buffer;
}>;

export type RecordingUpstream = Readonly<{
  url: string;
  port: number;
  requests: readonly RecordedRequest[];
  /** The last request. Throws if there was none. */
  last(): RecordedRequest;
  /** The number of requests that are arriving or waiting for a response. */
  underWay(): number;
  close(): Promise<void>;
}>;

export type UpstreamOptions = Readonly<{
  /** Responds after the whole body was recorded. By default with 200 and `{"ok":true}`. */
  answer?: (request: RecordedRequest, res: ServerResponse) => void;
  /** Handles an upgrade after it was recorded. By default an upgrade arrives as a plain request. */
  upgrade?: (request: RecordedRequest, socket: Duplex) => void;
}>;

/** Starts a real HTTP server that records each request, for assertions in gateway tests. */
export async function recordingUpstream(options: UpstreamOptions = {}): Promise<RecordingUpstream> {
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
    requests,
    last() {
      const request = requests.at(-1);
      if (request === undefined) throw new Error('nothing arrived upstream');
      return request;
    },
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

function record(req: IncomingMessage, body: Buffer): RecordedRequest {
  const headers: Record<string, string> = Object.create(null);
  const counts = new Map<string, number>();
  for (let index = 0; index < req.rawHeaders.length; index += 2) {
    const name = (req.rawHeaders[index] ?? '').toLowerCase();
    const value = req.rawHeaders[index + 1] ?? '';
    headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return {
    method: req.method ?? '',
    target: req.url ?? '',
    rawHeaders: req.rawHeaders,
    rawTrailers: req.rawTrailers,
    headers,
    count: (name) => counts.get(name) ?? 0,
    body,
  };
}
