import { eventually } from '@countersign/testing';
import type { Fault } from '../fault.ts';
import { type Flood, withFlood } from '../flood.ts';
import type { FaultStack } from '../stack.ts';
import type { User } from '../traffic.ts';

type At = Pick<FaultStack, 'place' | 'hold'>;

const head = ({ place }: At, line: string, ...fields: readonly string[]) =>
  `${[line, `Host: 127.0.0.1:${place.ports.gateway}`, ...fields].join('\r\n')}\r\n`;
const events = 'GET /v1/complaints/events HTTP/1.1';
const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'];
const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';
const MiB = 1024 * 1024;

/** Clients that are slow, or that ask for too much. Other clients must not be affected. */
export const clientFaults: readonly Fault[] = [
  {
    name: '500 clients send their headers slowly',
    run: ({ place }) =>
      withFlood(place.ports.gateway, { count: 500, write: 'GET / HTTP/1.1\r\nX-Slow: ', drip: 'a' }, allEnd(30_000)),
  },
  {
    name: '500 clients send their bodies slowly',
    run(stack) {
      const write = `${head(stack, 'POST /v1/auth/refresh HTTP/1.1', 'Content-Type: application/json', 'Content-Length: 9999')}\r\n`;
      return withFlood(stack.place.ports.gateway, { count: 500, write, drip: ' ' }, allEnd(45_000));
    },
  },
  {
    name: '100 clients do not read their answers',
    run(stack) {
      const write = `${head(stack, 'GET /openapi.json HTTP/1.1')}\r\n`.repeat(8);
      return withFlood(stack.place.ports.gateway, { count: 100, write, reads: 'nothing' }, () => stack.hold(10_000));
    },
  },
  {
    name: '600 event streams of three users',
    run: (stack, { users }) => streamsOf(stack, users.slice(0, 3), (token) => head(stack, events, token)),
  },
  {
    name: '600 WebSockets of three users',
    // Different users, because those above have reached their limit.
    run: (stack, { users }) => streamsOf(stack, users.slice(3), (token) => head(stack, events, token, ...upgrade, key)),
  },
  {
    name: '200 unfinished uploads of 1 MiB, at a gateway with a heap of 64 MiB',
    prepare: ({ restart }) => restart('gateway', undefined, { nodeOptions: ['--max-old-space-size=64'] }),
    run(stack, traffic) {
      const { path, token } = traffic.complaint();
      const line = `POST ${path}/attachments HTTP/1.1`;
      const fields = [`Authorization: Bearer ${token}`, 'Content-Type: text/plain', `Content-Length: ${MiB}`];
      const write = `${head(stack, line, ...fields)}\r\n${' '.repeat(MiB - 1)}`;
      return withFlood(stack.place.ports.gateway, { count: 200, write }, async (flood) => {
        await stack.hold(8_000);
        return flood.summary();
      });
    },
    restore: ({ restart }) => restart('gateway'),
  },
];

const allEnd = (withinMs: number) => async (flood: Flood) => {
  await eventually(() => {
    if (flood.open() > 0) throw new Error(`${flood.open()} of them are still connected`);
  }, withinMs);
  return flood.summary();
};

async function streamsOf(
  stack: At,
  users: readonly User[],
  headOf: (authorization: string) => string,
): Promise<string> {
  const summaries = await Promise.all(
    users.slice(0, 3).map(({ token }) => {
      const write = `${headOf(`Authorization: Bearer ${token}`)}\r\n`;
      return withFlood(stack.place.ports.gateway, { count: 200, write }, async (flood) => {
        await stack.hold(8_000);
        return flood.summary();
      });
    }),
  );
  return summaries.join('; ');
}
