import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { eventually } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';
import { thingsAt } from './kit/raw-service.ts';

const MiB = 1024 * 1024;
const whole = 200 * MiB;
const piece = Buffer.alloc(64 * 1024, 'x');
// Data in transit while the receiver does not read: kernel buffers on two hops, and stream buffers.
const maxInTransitBytes = 32 * MiB;
// Memory of client, gateway and service, which share this process, including uncollected garbage.
const maxMemoryBytes = 128 * MiB;

/** Writes as fast as the receiver reads, and counts the bytes. */
function pour(into: ServerResponse | ReturnType<typeof connect>, counted: { bytes: number }): void {
  while (counted.bytes < whole) {
    counted.bytes += piece.length;
    if (!into.write(piece)) {
      into.once('drain', () => pour(into, counted));
      return;
    }
  }
  into.end();
}

/** Settles when no more bytes were accepted for a while. */
async function untilStalled(sent: Readonly<{ bytes: number }>): Promise<void> {
  let before = 0;
  let unchanged = 0;
  await eventually(() => {
    unchanged = sent.bytes === before && before > 0 ? unchanged + 1 : 0;
    before = sent.bytes;
    expect(unchanged).toBeGreaterThan(10);
  });
}

describe('a body of 200 MiB', () => {
  let service: Server;
  let gateway: GatewayUnderTest;
  let token: string;
  let taken: (request: IncomingMessage, response: ServerResponse) => void;
  beforeAll(async () => {
    service = createServer((request, response) => taken(request, response)).listen(0, '127.0.0.1');
    await once(service, 'listening');
    const { port } = service.address() as AddressInfo;
    gateway = await gatewayUnderTest({
      edits: [
        thingsAt([`http://127.0.0.1:${port}`]),
        ['response: 2s, idle: 2s', 'response: 30s, idle: 30s'],
        ['maxBytes: 8MiB', 'maxBytes: 1GiB'],
      ],
    });
    token = await gateway.issuer.accessToken();
  });
  afterAll(async () => {
    await gateway.close();
    service.close();
    service.closeAllConnections();
  });

  /** The peak memory growth of this process, which contains client, gateway and service. */
  function watchMemory() {
    const before = process.memoryUsage().rss;
    let peakBytes = 0;
    return {
      look() {
        peakBytes = Math.max(peakBytes, process.memoryUsage().rss - before);
        return peakBytes;
      },
    };
  }

  test('waits for a client that stops reading, then arrives completely', async () => {
    const sent = { bytes: 0 };
    taken = (_request, response) => pour(response, sent);
    const memory = watchMemory();
    const client = connect(gateway.port, '127.0.0.1');
    client.on('error', () => client.destroy());
    client.write(
      `GET /v1/things/1 HTTP/1.1\r\nHost: gateway.test\r\nAuthorization: Bearer ${token}\r\nConnection: close\r\n\r\n`,
    );
    client.pause();
    await eventually(() => expect(sent.bytes).toBeGreaterThan(0));
    await untilStalled(sent);
    expect(sent.bytes).toBeLessThan(maxInTransitBytes);
    let received = 0;
    client.on('data', (chunk) => {
      received += chunk.length;
      memory.look();
    });
    client.resume();
    await once(client, 'end');
    expect(received).toBeGreaterThan(whole);
    expect(memory.look()).toBeLessThan(maxMemoryBytes);
  });

  test('waits for a service that stops reading, then arrives completely', async () => {
    let received = 0;
    const memory = watchMemory();
    let goOn: (() => void) | undefined;
    taken = (request, response) => {
      request.pause();
      goOn = () => {
        request.on('data', (chunk) => {
          received += chunk.length;
          memory.look();
        });
        request.once('end', () => response.end('taken'));
        request.resume();
      };
    };
    const client = connect(gateway.port, '127.0.0.1');
    client.on('error', () => client.destroy());
    client.write(
      `POST /v1/upload HTTP/1.1\r\nHost: gateway.test\r\nAuthorization: Bearer ${token}\r\nContent-Length: ${whole}\r\nConnection: close\r\n\r\n`,
    );
    const sent = { bytes: 0 };
    // The client's side stays open for the answer.
    const answered = once(client, 'data');
    const pouring = { write: (chunk: Buffer) => client.write(chunk), once: client.once.bind(client), end: () => {} };
    pour(pouring as unknown as typeof client, sent);
    await untilStalled(sent);
    expect(sent.bytes).toBeLessThan(maxInTransitBytes);
    // The bytes sent so far may all be in transit, before the service gets the request.
    await eventually(() => expect(goOn).toBeDefined());
    goOn?.();
    const [answer] = (await answered) as [Buffer];
    expect(answer.toString()).toContain('200 OK');
    expect(received).toBe(whole);
    expect(memory.look()).toBeLessThan(maxMemoryBytes);
    client.destroy();
  });
});
