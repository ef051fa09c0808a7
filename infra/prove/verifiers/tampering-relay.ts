import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { rawRequest } from '@countersign/testing';
import { type Answer, readAnswer } from '../../../packages/conformance/src/send.ts';

/** A request between the gateway and a service, as the relay writes it. */
export type Relayed = Readonly<{
  method: string;
  target: string;
  /** Header lines, in their order. */
  lines: readonly (readonly [name: string, value: string])[];
  body: Buffer;
}>;

export type TamperingRelay = Awaited<ReturnType<typeof tamperingRelay>>;

// A service that hangs fails its test with a reason.
const answerWithinMs = 60_000;

/** Starts an attacker between the gateway and a service, who reads and changes every request. */
export async function tamperingRelay() {
  const seen: { request: Relayed; answer: Answer }[] = [];
  let port = 0;
  let edit: ((request: Relayed) => Relayed) | undefined;
  async function deliver(request: Relayed): Promise<Answer> {
    const answer = readAnswer(await rawRequest(port, bytesOf(request), answerWithinMs));
    if (answer === undefined) throw new Error('the service closed the connection without a response');
    return answer;
  }

  async function relay(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const request = await readRequest(req);
    const answer = await deliver(edit === undefined ? request : edit(request));
    seen.push({ request, answer });
    const passed = ['content-type', 'x-identity-refused', 'x-identity-unavailable', 'www-authenticate', 'retry-after'];
    const headers = passed.flatMap((name) => (answer.headers.has(name) ? [[name, answer.headers.get(name)]] : []));
    res.writeHead(answer.status, Object.fromEntries(headers)).end(answer.body);
  }

  const server = createServer((req, res) => void relay(req, res).catch((error) => res.destroy(error)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** Requests that the gateway sent, and the service's answers to what the relay made of them. */
    seen: seen as readonly (typeof seen)[number][],
    /** Sets the service's port from now on. */
    sendTo(next: number) {
      port = next;
    },
    /** Changes requests from now on. Default: leaves them as they are. */
    tamper(next: typeof edit) {
      edit = next;
    },
    /** Writes a request to the service. */
    deliver,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function readRequest(req: IncomingMessage): Promise<Relayed> {
  const { method = '', url = '', rawHeaders } = req;
  const lines = rawHeaders.flatMap((name, at) => (at % 2 === 0 ? [[name, rawHeaders[at + 1] ?? ''] as const] : []));
  return {
    method,
    target: url,
    // So that the end of the answer is the end of the connection.
    lines: [...lines.filter(([name]) => name.toLowerCase() !== 'connection'), ['connection', 'close']],
    body: await buffer(req),
  };
}

function bytesOf({ method, target, lines, body }: Relayed): Buffer {
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  return Buffer.concat([Buffer.from(`${method} ${target} HTTP/1.1\r\n${head}\r\n`, 'latin1'), body]);
}
