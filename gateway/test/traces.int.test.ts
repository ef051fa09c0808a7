import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import {
  eventually,
  type ReceivedSpan,
  type SpanReceiver,
  spanReceiver,
  type UpstreamOptions,
} from '@countersign/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';
import { callingServices, sendCall, signCall } from './nested-caller.ts';

const sampled = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const callersTrace = '0af7651916cd43dd8448eb211c80319c';
const callersSpan = 'b7ad6b7169203331';
const traceparentGrammar = /^00-([0-9a-f]{32})-([0-9a-f]{16})-(0[01])$/;

const switching =
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n';
const refused = 'HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nX-Identity-Refused: nonce_replayed\r\n\r\n';
/** Answers as the last segment of the path says. */
const upstream: UpstreamOptions = {
  answer({ target }, res) {
    if (target.endsWith('/hang')) return;
    res.writeHead(Number(/[45]\d\d$/.exec(target)?.[0] ?? 200), {
      'content-type': target.endsWith('/stream') ? 'text/event-stream' : 'application/json',
    });
    if (target.endsWith('/stream')) res.write('data: 1\n\n');
    else res.end('{"ok":true}');
  },
  upgrade: ({ target }, socket) => void socket.end(target.endsWith('?refused') ? refused : switching),
};

const tracedGateway = (
  collector: Pick<SpanReceiver, 'url'>,
  edits: readonly (readonly [string, string])[] = [],
  sampling = 1,
  answers?: UpstreamOptions,
) =>
  gatewayUnderTest({
    ...(answers && { upstream: answers }),
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url },
    edits: [['version: 1', `version: 1\ntelemetry: { traces: { sampling: ${sampling} } }`], ...edits],
  });

describe('with a collector', () => {
  const services = callingServices();
  let collector: SpanReceiver;
  let gateway: GatewayUnderTest;
  let token: string;
  beforeAll(async () => {
    collector = await spanReceiver();
    gateway = await tracedGateway(collector, services.edits, 1, upstream);
  });
  afterAll(async () => {
    await gateway.close();
    await collector.close();
    services.remove();
  });
  beforeEach(async () => {
    token = await gateway.issuer.accessToken();
  });

  /** The spans of the trace that the last request to the service belongs to. */
  async function spansOfLast(count: number): Promise<readonly ReceivedSpan[]> {
    const [, traceId] = traceparentGrammar.exec(gateway.upstream.last().headers.traceparent ?? '') ?? [];
    return spansOf(traceId ?? '', count);
  }
  async function spansOf(traceId: string, count: number): Promise<readonly ReceivedSpan[]> {
    return eventually(() => {
      const own = collector.spans().filter((span) => span.traceId === traceId);
      expect(own).toHaveLength(count);
      return own;
    });
  }

  /** Of a request that starts its own trace. */
  const traceOf = (headers: Readonly<Record<string, string>>) => String(headers['x-request-id']).replaceAll('-', '');

  test('a request is a server span, and the attempt under it is what the service sees as its parent', async () => {
    const { status } = await gateway.ask('/v1/things/1?secret=in-the-query', { token });
    expect(status).toBe(200);
    const [, , parent, flags] = traceparentGrammar.exec(gateway.upstream.last().headers.traceparent ?? '') ?? [];
    expect(flags).toBe('01');
    const spans = await spansOfLast(2);
    const server = spans.find(({ kind }) => kind === 'server');
    const client = spans.find(({ kind }) => kind === 'client');
    expect(server).toMatchObject({
      service: 'countersign-gateway',
      name: 'GET /v1/things/**',
      parentSpanId: '',
      isFailed: false,
      attributes: { 'http.request.method': 'GET', 'http.route': '/v1/things/**', 'http.response.status_code': 200 },
    });
    expect(client).toMatchObject({
      name: 'GET',
      spanId: parent,
      parentSpanId: server?.spanId,
      attributes: {
        'http.response.status_code': 200,
        'server.address': '127.0.0.1',
        'server.port': Number(new URL(gateway.upstream.url).port),
      },
    });
    for (const span of spans) expect(span.attributes).not.toHaveProperty('error.type');
    expect(client?.startMs).toBeGreaterThanOrEqual(server?.startMs ?? Number.NaN);
    expect(client?.endMs).toBeLessThanOrEqual(server?.endMs ?? Number.NaN);
    expect(server?.endMs).toBeLessThanOrEqual(Date.now());
  });

  test('spans contain no query, token or user', async () => {
    await gateway.ask('/v1/things/1?secret=in-the-query', {
      token: await gateway.issuer.accessToken({ sub: 'user-77' }),
    });
    await spansOfLast(2);
    for (const secret of ['in-the-query', 'user-77', token.split('.')[2] ?? '']) {
      expect(collector.text()).not.toContain(secret);
    }
  });

  test('a refusal names our code, and is not a failure of the server', async () => {
    const { headers } = await gateway.raw('GET /v1/things/1 HTTP/1.1\r\n<host>\r\n<close>\r\n\r\n');
    expect(await spansOf(traceOf(headers), 1)).toMatchObject([
      {
        name: 'GET /v1/things/**',
        isFailed: false,
        attributes: { 'http.response.status_code': 401, 'error.type': 'token_missing' },
      },
    ]);
  });

  test('an unknown method has one name for all', async () => {
    const { headers } = await gateway.raw('MKCALENDAR /v1/things/1 HTTP/1.1\r\n<host>\r\n<close>\r\n\r\n');
    expect(await spansOf(traceOf(headers), 1)).toMatchObject([
      { name: 'HTTP', attributes: { 'http.request.method': '_OTHER', 'error.type': 'method_not_allowed' } },
    ]);
  });

  test.each([
    [404, false, undefined],
    [500, true, '500'],
  ])(
    "a service's %i is an error of the attempt, and of the server if it is a fault",
    async (status, isFailed, type) => {
      await gateway.ask(`/v1/things/${status}`, { token });
      const spans = await spansOfLast(2);
      const [server, client] = ['server', 'client'].map((kind) => spans.find((span) => span.kind === kind));
      expect([server?.isFailed, server?.attributes['error.type']]).toEqual([isFailed, type]);
      expect([client?.isFailed, client?.attributes['error.type']]).toEqual([true, String(status)]);
    },
  );

  const webSocket =
    'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';
  test.each([
    ['a request that the client abandons', '/v1/things/hang', '', undefined],
    ['an event stream that the client closes', '/v1/things/stream', '', 200],
    ['a WebSocket', '/v1/socket', webSocket, 101],
    ['a WebSocket whose identity the service refuses', '/v1/socket?refused', webSocket, 401],
  ])('%s has a span for its attempt', async (_case, path, headers, status) => {
    const socket = connect(gateway.port, '127.0.0.1');
    socket.write(`GET ${path} HTTP/1.1\r\nHost: gateway.test\r\nAuthorization: Bearer ${token}\r\n${headers}\r\n`);
    await eventually(() => expect(gateway.upstream.last().target).toBe(path));
    if (status === 200) await once(socket, 'data');
    socket.destroy();
    const [, , spanId] = traceparentGrammar.exec(gateway.upstream.last().headers.traceparent ?? '') ?? [];
    const client = (await spansOfLast(2)).find(({ kind }) => kind === 'client');
    expect(client?.spanId).toBe(spanId);
    expect(client?.attributes['http.response.status_code']).toBe(status);
  });

  test("a client's traceparent is linked, and its baggage and tracestate go no further", async () => {
    const headers = { traceparent: sampled, tracestate: 'a=1', baggage: 'user=admin' };
    await gateway.ask('/v1/things/1', { token, headers });
    const arrived = gateway.upstream.last();
    expect(arrived.headers).not.toHaveProperty('tracestate');
    expect(arrived.headers).not.toHaveProperty('baggage');
    expect(arrived.count('traceparent')).toBe(1);
    expect(arrived.headers.traceparent).not.toContain(callersTrace);
    const server = (await spansOfLast(2)).find(({ kind }) => kind === 'server');
    expect(server).toMatchObject({ parentSpanId: '', links: [{ traceId: callersTrace, spanId: callersSpan }] });
  });

  test.each([
    ['repeated', `traceparent: ${sampled}\r\ntraceparent: ${sampled}`],
    ['too long', `traceparent: ${sampled}-00`],
    ['all zeros', `traceparent: 00-${'0'.repeat(32)}-${callersSpan}-01`],
    ['in another spelling', `trace_parent: ${sampled}`],
  ])('a traceparent that is %s is not linked', async (_case, line) => {
    const authorization = `Authorization: Bearer ${token}`;
    await gateway.raw(`GET /v1/things/1 HTTP/1.1\r\n<host>\r\n${authorization}\r\n${line}\r\n<close>\r\n\r\n`);
    const server = (await spansOfLast(2)).find(({ kind }) => kind === 'server');
    expect(server?.links).toEqual([]);
  });

  test("the log names the trace, and the client's own request id", async () => {
    await gateway.ask('/v1/things/1', { token, headers: { 'x-request-id': 'mine-1' } });
    const { traceparent = '', 'x-request-id': requestId } = gateway.upstream.last().headers;
    expect(requestId).not.toBe('mine-1');
    expect(traceparent.split('-')[1]).toBe(requestId?.replaceAll('-', ''));
    await eventually(() => {
      const line = gateway.log.lines().find((fields) => fields.client_request_id === 'mine-1');
      expect(traceparent.split('-')[1]).toBe(line?.trace_id);
    });
  });

  test.each([
    ['a repeated header', 'GET /v1/things/1 HTTP/1.1\r\n<host>\r\nAuthorization: a\r\nAuthorization: b'],
    ['headers that are too large', `GET /v1/things/1 HTTP/1.1\r\n<host>\r\nX-Big: ${'a'.repeat(13_000)}`],
    ['an expectation', 'GET /v1/things/1 HTTP/1.1\r\n<host>\r\nExpect: wonders'],
    ['an unknown host', 'GET /v1/things/1 HTTP/1.1\r\nHost: ???'],
  ])('the log line of a request that is refused for %s has both ids', async (_case, head) => {
    const id = `mine-${randomUUID()}`;
    const { headers } = await gateway.raw(`${head}\r\nX-Request-Id: ${id}\r\n<close>\r\n\r\n`);
    await eventually(() => {
      const line = gateway.log.lines().find((fields) => fields.client_request_id === id);
      expect(line?.trace_id).toBe(traceOf(headers));
    });
  });

  test('the log line of a malformed request has a trace id', async () => {
    const { headers } = await gateway.raw('GET /v1/thi ngs/1 HTTP/1.1\r\n<host>\r\n\r\n');
    await eventually(() => {
      const line = gateway.log.lines().find((fields) => fields.request_id === headers['x-request-id']);
      expect(line?.trace_id).toBe(traceOf(headers));
    });
  });

  test('a nested call continues the trace of the service that makes it', async () => {
    await gateway.ask('/v1/things/1', { token });
    const txnToken = gateway.upstream.last().headers['txn-token'];
    const traceparent = `00-${callersTrace}-${callersSpan}-01`;
    const signed = signCall(services.keyOf('things'), Date.now(), { txnToken });
    const { status } = await sendCall(gateway, {}, [...signed, ['traceparent', traceparent]]);
    expect(status).toBe(200);
    expect(gateway.upstream.last().headers.traceparent).toContain(callersTrace);
    const server = (await spansOf(callersTrace, 2)).find(({ kind }) => kind === 'server');
    expect(server).toMatchObject({ parentSpanId: callersSpan, links: [] });
  });

  test('a nested call without a signature is only linked', async () => {
    const { headers } = await sendCall(gateway, {}, [['traceparent', sampled]]);
    expect(await spansOf(traceOf(headers), 1)).toMatchObject([
      { parentSpanId: '', links: [{ traceId: callersTrace }], attributes: { 'error.type': 'caller_missing' } },
    ]);
  });
});

test('a trusted proxy continues its trace, and its flag samples nothing', async () => {
  const collector = await spanReceiver();
  const gateway = await tracedGateway(collector, [['trustedProxies: []', 'trustedProxies: ["127.0.0.0/8"]']], 0);
  const token = await gateway.issuer.accessToken();
  await gateway.ask('/v1/things/1', { token, headers: { traceparent: sampled } });
  const { traceparent } = gateway.upstream.last().headers;
  expect(traceparent).toMatch(new RegExp(`^00-${callersTrace}-(?!${callersSpan})[0-9a-f]{16}-00$`));
  // What waits is sent before the gateway ends.
  await gateway.close();
  expect(collector.spans()).toEqual([]);
  await collector.close();
});

test('without a collector, headers of traces pass as they are', async () => {
  const gateway = await gatewayUnderTest();
  const headers = { traceparent: sampled, tracestate: 'a=1', baggage: 'b=2' };
  await gateway.ask('/v1/things/1', { token: await gateway.issuer.accessToken(), headers });
  expect(gateway.upstream.last().headers).toMatchObject(headers);
  await gateway.close();
});

test.each([
  ['http://collector.test:4318', /^OTEL_EXPORTER_OTLP_ENDPOINT: plain http leaves this machine/],
  ['collector:4318', /^OTEL_EXPORTER_OTLP_ENDPOINT: must be an http or https URL$/],
])('a gateway does not start with the collector %s', async (endpoint, message) => {
  await expect(gatewayUnderTest({ env: { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint } })).rejects.toThrow(message);
});
