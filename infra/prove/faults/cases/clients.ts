import { eventually } from '@countersign/testing';
import { type Flood, withFlood } from '../flood.ts';
import type { Fault } from '../measure.ts';
import type { FaultStack } from '../stack.ts';
import type { Traffic } from '../traffic.ts';

const head = ({ place }: Pick<FaultStack, 'place'>, line: string, ...fields: readonly string[]) =>
  `${[line, `Host: 127.0.0.1:${place.ports.gateway}`, ...fields].join('\r\n')}\r\n`;
const events = 'GET /v1/complaints/events HTTP/1.1';
const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'];
const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';
const MiB = 1024 * 1024;
const connected = [Infinity, Infinity] as const;

/** How many clients get this answer, and between which seconds they are disconnected. Without these, at any time. */
type Expected = readonly [clients: number, answer: string, fromSec?: number, toSec?: number];

/** Clients that are slow, or that ask for too much. Other clients must not be affected. */
export const clientFaults: readonly Fault[] = [
  {
    name: '500 clients send their headers slowly',
    run: ({ place }) =>
      withFlood(place.ports.gateway, { count: 500, write: 'GET / HTTP/1.1\r\nX-Slow: ', drip: 'a' }, async (flood) => {
        await allEnd(flood, 25_000);
        // docs/gateway-yaml.md: 15 s, checked every 5 s.
        return expectResults(flood, [[500, '408 request_timeout', 15, 21]]);
      }),
  },
  {
    name: '500 clients send their bodies slowly',
    run(stack) {
      const write = `${head(stack, 'POST /v1/auth/refresh HTTP/1.1', 'Content-Type: application/json', 'Content-Length: 9999')}\r\n`;
      return withFlood(stack.place.ports.gateway, { count: 500, write, drip: ' ' }, async (flood) => {
        await allEnd(flood, 40_000);
        // The route's limit is 300 a minute. docs/gateway-yaml.md: a body has 30 s in all and 20 s at less than 1 KiB/s;
        // after a response, the rest of a body is discarded for 2 s.
        return expectResults(flood, [
          [300, '408 request_timeout', 20, 33],
          [200, '429 rate_limited', 0, 5],
        ]);
      });
    },
  },
  {
    name: '100 clients do not read their answers',
    run(stack) {
      const request = `${head(stack, 'GET /openapi.json HTTP/1.1')}\r\n`;
      const flood = { count: 100, write: request.repeat(8), drip: request, reads: 'nothing' } as const;
      return withFlood(stack.place.ports.gateway, flood, async (clients) => {
        await allEnd(clients, 110_000);
        // After 10 to 20 s the kernel buffers no more. docs/gateway-yaml.md: 60 s at less than 1 KiB/s, checked every 15 s.
        return expectResults(clients, [[100, 'no answer', 60, 100]]);
      });
    },
  },
  {
    name: '600 event streams of three users',
    run: (stack, { users }) =>
      floodOfUsers(
        stack,
        users.slice(0, 3),
        [events],
        [
          [10, '200', ...connected],
          [50, '429 too_many_streams'],
          [140, '429 rate_limited'],
        ],
      ),
  },
  {
    name: '600 WebSockets of three users',
    // Different users, because those above have reached their limit.
    run: (stack, { users }) =>
      floodOfUsers(
        stack,
        users.slice(3),
        [events, ...upgrade, key],
        [
          [10, '101', ...connected],
          [50, '101 closed with 1013'],
          [140, '429 rate_limited'],
        ],
      ),
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
        return expectResults(flood, [
          [60, 'no answer', ...connected],
          [140, '429 rate_limited'],
        ]);
      });
    },
    restore: ({ restart }) => restart('gateway'),
  },
];

async function floodOfUsers(
  stack: FaultStack,
  users: Traffic['users'],
  [line, ...fields]: readonly [line: string, ...fields: readonly string[]],
  expected: readonly Expected[],
): Promise<string> {
  const results = await Promise.all(
    users.map(({ token }) => {
      const write = `${head(stack, line, `Authorization: Bearer ${token}`, ...fields)}\r\n`;
      return withFlood(stack.place.ports.gateway, { count: 200, write }, async (flood) => {
        await stack.hold(8_000);
        return expectResults(flood, expected);
      });
    }),
  );
  return `each user: ${[...new Set(results)].join('; or ')}`;
}

const allEnd = (flood: Flood, withinMs: number): Promise<void> =>
  eventually(() => {
    const open = flood.results().filter(({ endedSec }) => endedSec === Infinity);
    if (open.length > 0) throw new Error(`${open.length} of them are still connected`);
  }, withinMs);

/** @returns What the clients got, for the report. @throws Error with it if that differs from what they must get. */
function expectResults(flood: Flood, expected: readonly Expected[]): string {
  const groups = Map.groupBy(flood.results(), ({ answer }) => answer);
  const got = [...groups].map(([answer, some]) => {
    const ends = some.map(({ endedSec }) => endedSec);
    const [first, last] = [Math.min(...ends).toFixed(1), Math.max(...ends).toFixed(1)];
    return `${some.length} × ${answer}${first === 'Infinity' ? '' : `, disconnected after ${first} to ${last} s`}`;
  });
  const shown = got.sort().join('; ');
  const isExpected = expected.every(([clients, answer, fromSec = 0, toSec = Infinity]) => {
    const some = groups.get(answer) ?? [];
    return some.length === clients && some.every(({ endedSec }) => endedSec >= fromSec && endedSec <= toSec);
  });
  if (!isExpected || groups.size !== expected.length) throw new Error(`the clients got: ${shown}`);
  return shown;
}
