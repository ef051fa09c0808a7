import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { eventually } from '@countersign/testing';
import { afterEach, describe, expect, test } from '@jest/globals';
import { decisionAt, decisionWithSecret } from './decision-edits.ts';
import { acme, type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';
import { introspectionServer } from './kit/introspection-server.ts';

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

const started = async (options: Parameters<typeof gatewayUnderTest>[0] = {}): Promise<GatewayUnderTest> => {
  const gateway = await gatewayUnderTest(options);
  open.push(gateway.close);
  return gateway;
};

/** Connects from a loopback address, which stands for a client. */
async function socketFrom(localAddress: string, port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', localAddress });
  socket.on('error', () => {});
  open.push(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

/** Sends well-formed requests from a loopback address. Resolves with the status and the error code. */
function clientAt(localAddress: string, port: number) {
  const agent = new Agent({ keepAlive: true });
  open.push(() => agent.destroy());
  return async (path: string, headers: Record<string, string> = {}): Promise<string> => {
    const all = { host: 'gateway.test', ...headers };
    const sent = request({ port, host: '127.0.0.1', localAddress, agent, path, headers: all }).end();
    const [answer] = await once(sent, 'response');
    const code = /"code":"(\w+)"/.exec(await text(answer))?.[1];
    return [answer.statusCode, ...(code === undefined ? [] : [code])].join(' ');
  };
}

const refusals = (gateway: GatewayUnderTest, code: string) =>
  gateway.log
    .text()
    .split('\n')
    .filter((line) => line.includes(`"code":"${code}"`)).length;

test('addresses with forty opaque tokens each delay another address by one turn each', async () => {
  const provider = await introspectionServer();
  open.push(provider.close);
  const gate = Promise.withResolvers<void>();
  provider.answerWith((_request, response) => {
    const nowSec = Math.floor(Date.now() / 1000);
    const who = { aud: 'complaints-api', sub: 'u', user_id: 'u', tenant_id: acme, role: 'agent', client_id: 'web' };
    const answer = JSON.stringify({ active: true, token_type: 'Bearer', ...who, iat: nowSec, exp: nowSec + 900 });
    void gate.promise.then(() => response.setHeader('content-type', 'application/json').end(answer));
  });
  const endpoint = `introspection: { url: "${provider.url}", clientId: gateway, clientSecret: "\${CLIENT_SECRET}", cacheFor: 60s }`;
  const gateway = await started({
    env: { CLIENT_SECRET: 'short' },
    edits: [['    algorithms: [ES256]', `    algorithms: [ES256]\n    ${endpoint}`]],
  });
  const attackers = [1, 2, 3].map((number) => clientAt(`127.0.1.${number}`, gateway.port));
  const all = attackers.flatMap((ask, address) =>
    Array.from({ length: 40 }, (_, count) => ask('/v1/maybe', { authorization: `Bearer a${address}n${count}` })),
  );
  const ask = clientAt('127.0.0.9', gateway.port);
  // Other requests, so that the earlier ones have arrived.
  for (const marker of attackers) await marker('/v1/open/1');
  const mine = ask('/v1/maybe', { authorization: 'Bearer mine' });
  await ask('/v1/open/1');
  gate.resolve();
  expect(await mine).toBe('200');
  // 32 were running, and each other address had one turn.
  expect(provider.calls.findIndex(({ token }) => token === 'mine')).toBeLessThanOrEqual(32 + 3);
  await Promise.all(all);
});

describe('pipelined requests', () => {
  const lines = (count: number, path: string) => `GET ${path} HTTP/1.1\r\nHost: gateway.test\r\n\r\n`.repeat(count);

  test('of one connection are answered 32 at a time, and others in between', async () => {
    const gateway = await started();
    const [greedy, other] = [await socketFrom('127.0.0.2', gateway.port), await socketFrom('127.0.0.9', gateway.port)];
    let bytes = '';
    greedy.setEncoding('latin1').on('data', (chunk) => {
      bytes += chunk;
    });
    const answered = () => bytes.split('HTTP/1.1 404').length - 1;
    greedy.write(lines(599, '/nowhere'));
    await once(greedy, 'data');
    const before = answered();
    other.write(lines(1, '/nowhere'));
    await once(other, 'data');
    expect(answered() - before).toBeLessThan(10 * 32);
    await eventually(() => expect(answered()).toBe(599));
  });

  test('are all answered in order, whatever their number', async () => {
    const gateway = await started();
    const socket = await socketFrom('127.0.0.2', gateway.port);
    const paths = Array.from({ length: 200 }, (_, at) => (at % 3 === 0 ? `/nowhere/${at}` : `/v1/open/${at}`));
    socket.write(paths.map((path) => lines(1, path)).join(''));
    let bytes = '';
    socket.setEncoding('latin1').on('data', (chunk) => {
      bytes += chunk;
    });
    await eventually(() => expect(bytes.match(/HTTP\/1\.1 \d{3}/g)).toHaveLength(200));
    const statuses = bytes.match(/HTTP\/1\.1 \d{3}/g)?.map((line) => line.slice(-3));
    expect(statuses).toEqual(paths.map((path) => (path.startsWith('/v1') ? '200' : '404')));
  });
});

describe('a request that no route serves', () => {
  test.each([
    ['an unknown path', '/nowhere', '404 no_route'],
    ['a target that is refused', '/v1//open', '400 invalid_target'],
    ['an unknown path in an own path', '/.well-known/nothing', '404 no_route'],
  ])('has a budget of 600 a minute and address: %s', async (_, path, first) => {
    const gateway = await started();
    const ask = clientAt('127.0.0.2', gateway.port);
    const answers: string[] = [];
    for (let count = 0; count < 605; count += 1) answers.push(await ask(path));
    expect(answers.lastIndexOf(first)).toBe(599);
    expect(answers.slice(600)).toEqual(Array.from({ length: 5 }, () => '429 rate_limited'));
    // Of those, one is logged.
    expect(refusals(gateway, 'rate_limited')).toBe(1);
    expect(await (await gateway.admin('/metrics')).text()).toMatch(/code="rate_limited"[^}]*\} 5\n/);
    expect(await ask('/v1/open/1')).toBe('200');
    expect(await clientAt('127.0.0.3', gateway.port)(path)).toBe(first);
    expect(gateway.upstream.requests).toHaveLength(1);
  });
});

describe('calls to the decision listener without proof', () => {
  const secret = 'Zk3vX9qL0mT7bR2wY8cN5dH1jF6gP4sA0eUiOoQz';
  const routes = '\n  - { name: open, path: "/v1/open/**", methods: [GET], upstream: things, auth: public }\n';
  const listening = (proxy: string) =>
    started({
      routes,
      env: { DECISION_SECRET: secret },
      edits: [decisionAt('127.0.0.1:0'), decisionWithSecret(proxy)],
    });
  const call = (proof = '') =>
    `GET /decide HTTP/1.1\r\nHost: gateway.test\r\nX-Countersign-Method: GET\r\nX-Countersign-Target: /v1/open/1\r\n` +
    `X-Countersign-Scheme: https\r\nX-Countersign-Address: 192.0.2.7\r\n${proof}\r\n`;

  const statuses = (answer: string) => answer.match(/HTTP\/1\.1 \d{3}/g)?.map((line) => line.slice(-3)) ?? [];

  test('get 503, and beyond 600 a minute their connection is closed, while the proxy is served', async () => {
    const gateway = await listening('nginx');
    const port = gateway.running.ports.decision as number;
    const unproven = await socketFrom('127.0.0.2', port);
    unproven.write(call().repeat(1_000));
    const answered = statuses(await text(unproven));
    expect(answered).toEqual([...Array.from({ length: 600 }, () => '503'), '429']);
    expect(refusals(gateway, 'rate_limited')).toBe(1);
    const proxy = await socketFrom('127.0.0.2', port);
    proxy.write(call(`X-Countersign-Proxy-Secret: ${secret}\r\n`));
    expect(statuses(String((await once(proxy, 'data'))[0]))).toEqual(['200']);
  });

  test('over HTTP/2 too, whatever they call', async () => {
    const gateway = await listening('envoy');
    const session = connectHttp2(`http://127.0.0.1:${gateway.running.ports.decision}`);
    session.on('error', () => {});
    open.push(() => session.destroy());
    const ask = async () => {
      const stream = session.request({ ':method': 'POST', ':path': '/anything' });
      stream.resume().end();
      const [headers] = await once(stream, 'response');
      return headers[':status'];
    };
    const closed = once(session, 'close');
    for (let count = 0; count < 600; count += 1) expect(await ask()).toBe(404);
    expect(await ask()).toBe(429);
    await closed;
  });
});
