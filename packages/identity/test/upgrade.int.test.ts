import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, expect, test } from '@jest/globals';
import { type Identity, type IdentityClaims, type VerifyUpgradeOptions, verifyUpgrade } from '../src/index.ts';
import { genuine, type Message, plus, requestId, withHeader } from './forge.ts';
import { verifierAt } from './verifier.ts';
import { exchange, headOf, listen } from './wire.ts';

let open: { close(): Promise<void> } | undefined;
let accepted: (Identity | undefined)[] = [];
let refusals: string[] = [];
afterEach(async () => {
  await open?.close();
  accepted = [];
  refusals = [];
});

async function start(options: Partial<VerifyUpgradeOptions> = {}): Promise<number> {
  const verify = verifyUpgrade({
    verifier: verifierAt(),
    onRefused: (_req, { reason }) => refusals.push(reason),
    ...options,
  });
  const server = createServer();
  server.on('upgrade', async (req, socket) => {
    const identity = await verify(req, socket);
    if (identity === undefined) return;
    accepted.push(identity);
    socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\nhello');
  });
  const listening = await listen(server);
  open = listening;
  return listening.port;
}

// Without a listener, a reset would be an uncaught exception that ends the process, and Jest would fail the suite.
test('continues to serve after clients reset connections that they asked to upgrade', async () => {
  const port = await start();
  const unsigned = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
  for (let turns = 0; turns < 12; turns += 1) {
    const client = connect(port, '127.0.0.1').on('error', () => {});
    await once(client, 'connect');
    client.write(unsigned);
    for (let turn = 0; turn < turns; turn += 1) await nextTurn();
    client.resetAndDestroy();
  }
  expect(await send(port, genuine({ target: '/events', upgrade }))).toMatchObject({ status: 101 });
});

const upgrade = { protocol: 'websocket', key: 'dGhlIHNhbXBsZSBub25jZQ==' };
const send = (port: number, message: Message) =>
  exchange(port, headOf(message).replace('connection: close', 'connection: upgrade'));

test('accepts an upgrade that the gateway signed', async () => {
  expect(await send(await start(), genuine({ target: '/events', upgrade }))).toMatchObject({
    status: 101,
    body: 'hello',
  });
  expect(accepted).toMatchObject([{ kind: 'user', userId: 'u-1' }]);
});

test.each<[string, Message, string]>([
  [
    'without a signature',
    {
      ...genuine({ target: '/events', upgrade }),
      headers: [
        ['upgrade', 'websocket'],
        ['sec-websocket-key', upgrade.key],
        ['x-user-id', 'root'],
      ],
    },
    'signature_missing',
  ],
  [
    'signed as a plain GET',
    plus(genuine({ target: '/events' }), ['upgrade', 'websocket'], ['sec-websocket-key', upgrade.key]),
    'coverage_insufficient',
  ],
  [
    'with another key',
    withHeader(genuine({ target: '/events', upgrade }), 'sec-websocket-key', 'AAAAAAAAAAAAAAAAAAAAAA=='),
    'signature_invalid',
  ],
  ['to another path', { ...genuine({ target: '/events', upgrade }), target: '/admin' }, 'signature_invalid'],
])('answers 401 to an upgrade %s, and closes the socket', async (_name, message, reason) => {
  const answer = await send(await start(), message);
  expect(answer.status).toBe(401);
  expect(answer.headers.get('x-identity-refused')).toBe(reason);
  expect(JSON.parse(answer.body).code).toBe('identity_refused');
  expect(accepted).toEqual([]);
  expect(refusals).toEqual([reason]);
});

test('answers 403 to another kind of caller', async () => {
  const answer = await send(await start(), genuine({ target: '/events', upgrade, as: { kind: 'anonymous' } }));
  expect(JSON.parse(answer.body)).toMatchObject({ status: 403, code: 'identity_not_allowed', request_id: requestId });
  expect(accepted).toEqual([]);
});

const machine = (...scope: string[]): IdentityClaims => ({ kind: 'client', clientId: 'client-7', context: { scope } });
const ofMachines = { kinds: ['client'], scopes: ['events.read'] } as const;

test('answers 403 to a machine that the route does not allow', async () => {
  const answer = await send(await start(), genuine({ target: '/events', upgrade, as: machine('events.read') }));
  expect(JSON.parse(answer.body)).toMatchObject({ status: 403, code: 'identity_not_allowed' });
  expect(accepted).toEqual([]);
});

test('accepts an upgrade from a machine with the scope', async () => {
  const port = await start(ofMachines);
  expect((await send(port, genuine({ target: '/events', upgrade, as: machine('events.read') }))).status).toBe(101);
  expect(accepted).toMatchObject([{ kind: 'client', clientId: 'client-7' }]);
});

test('answers 403 to an upgrade without the scope, and names the scope', async () => {
  const port = await start(ofMachines);
  const answer = await send(port, genuine({ target: '/events', upgrade, as: machine('events.write') }));
  expect(JSON.parse(answer.body)).toMatchObject({ status: 403, code: 'insufficient_scope', request_id: requestId });
  expect(answer.headers.get('www-authenticate')).toBe('Bearer error="insufficient_scope", scope="events.read"');
  expect(accepted).toEqual([]);
});

test('throws for a scope that no token can have', () => {
  expect(() => verifyUpgrade({ verifier: verifierAt(), scopes: ['a b'] })).toThrow(RangeError);
});
