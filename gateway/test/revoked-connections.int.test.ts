import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { eventually, type RecordedRequest } from '@countersign/testing';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';
import { feedItem } from './issuer-server.ts';

const toleranceSec = 5;
const subject = { sid: 's-1', user_id: 'u-1', sub: 'u-1', tenant_id: 't-1' };

/** How the service responds, by query. None of these responses ends by itself. */
function answer({ target }: RecordedRequest, res: ServerResponse): void {
  const [, how = 'short'] = target.split('?');
  const heads: Record<string, Record<string, string | number>> = {
    events: { 'content-type': 'text/event-stream; charset=utf-8' },
    lines: { 'content-type': 'application/x-ndjson' },
    download: { 'content-type': 'application/pdf', 'content-length': 1_000_000 },
    chunks: { 'content-type': 'text/csv' },
  };
  const head = heads[how];
  if (head === undefined) res.end('{}');
  else res.writeHead(200, head).write('data: 1\n\n');
}

describe('long responses and uploads', () => {
  let gateway: GatewayUnderTest;
  let nowMs: number;
  let closing: Promise<void> | undefined;
  const close = () => {
    closing ??= gateway.close();
    return closing;
  };
  beforeEach(async () => {
    nowMs = Date.now();
    closing = undefined;
    gateway = await gatewayUnderTest({ upstream: { answer }, nowMs: () => nowMs });
  });
  afterEach(close);

  /** Sends a request, and records the endless answer. */
  async function open(how: string, token: string | undefined, path = '/v1/things/1') {
    const headers = { host: 'gateway.test', ...(token !== undefined && { authorization: `Bearer ${token}` }) };
    const asked = httpRequest({ port: gateway.port, host: '127.0.0.1', path: `${path}?${how}`, headers }).end();
    const [response] = (await once(asked, 'response')) as [IncomingMessage];
    let text = '';
    let state = 'open';
    response.on('data', (chunk) => {
      text += chunk;
    });
    response.on('error', () => {});
    response.once('end', () => {
      state = 'whole';
    });
    response.once('close', () => {
      if (state === 'open') state = 'cut';
    });
    await eventually(() => expect(text).toBe('data: 1\n\n'));
    return { state: () => state, close: () => response.destroy() };
  }
  const untilIs = (connection: { state(): string }, state: string, withinMs = 3_000) =>
    eventually(() => expect(connection.state()).toBe(state), withinMs);
  /** The number of requests that the service has not answered yet. */
  const openAtService = () => gateway.upstream.underWay();

  test.each([
    ['session', { sid: 's-1' }],
    ['client', { client_id: 'web', tenant_id: 't-1' }],
    ['member', { user_id: 'u-1', tenant_id: 't-1' }],
    ['user', { user_id: 'u-1' }],
    ['tenant', { tenant_id: 't-1' }],
  ])('an event stream ends within a second after its %s is revoked, and others continue', async (kind, names) => {
    const mine = await gateway.issuer.accessToken(subject);
    const other = await open('events', await gateway.issuer.accessToken());
    const events = await open('events', mine);
    const lines = await open('lines', mine);
    expect(openAtService()).toBe(3);
    const revokedAt = performance.now();
    gateway.issuerServer.revoke(feedItem(kind, names));
    await untilIs(events, 'cut');
    await untilIs(lines, 'cut');
    expect(performance.now() - revokedAt).toBeLessThan(1_000);
    expect(other.state()).toBe('open');
    await eventually(() => expect(openAtService()).toBe(1));
    other.close();
    await eventually(() => expect(openAtService()).toBe(0));
  });

  test('an event stream ends when its signing key is revoked', async () => {
    const events = await open('events', await gateway.issuer.accessToken());
    gateway.issuerServer.revoke(feedItem('key', { kid: gateway.issuer.kid }));
    await untilIs(events, 'cut');
  });

  test.each([
    ['of unknown length', 'chunks'],
    ['of 1 MB', 'download'],
  ])('a revocation visibly breaks off an answer %s, and the log has the reason', async (_name, how) => {
    const other = await open(how, await gateway.issuer.accessToken());
    const mine = await open(how, await gateway.issuer.accessToken(subject));
    gateway.issuerServer.revoke(feedItem('session', { sid: 's-1' }));
    await untilIs(mine, 'cut');
    expect(other.state()).toBe('open');
    await eventually(() =>
      expect(gateway.log.lines()).toContainEqual(
        expect.objectContaining({ msg: 'request', user_id: 'u-1', code: 'token_revoked', fault: 'caller' }),
      ),
    );
    other.close();
  });

  test('an event stream ends with its token, while any other response may finish', async () => {
    const token = await gateway.issuer.accessToken();
    const events = await open('events', token);
    const download = await open('download', token);
    const endsAtMs = (Math.floor(nowMs / 1000) + 900 + toleranceSec) * 1000;
    nowMs = endsAtMs - 1;
    expect((await gateway.ask('/v1/things/1', { token })).status).toBe(200);
    expect(events.state()).toBe('open');
    nowMs = endsAtMs;
    await untilIs(events, 'cut', 5_000);
    expect((await gateway.ask('/v1/things/1', { token })).code).toBe('token_expired');
    expect(download.state()).toBe('open');
    // A later logout still ends it.
    gateway.issuerServer.revoke(feedItem('session', { sid: sidOf(token) }, nowMs));
    await untilIs(download, 'cut');
  });

  test('when the gateway stops, event streams end cleanly, and other answers have the drain period', async () => {
    const named = await open('events', await gateway.issuer.accessToken());
    const anonymous = await open('events', undefined, '/v1/open/1');
    const download = await open('download', await gateway.issuer.accessToken());
    const stopping = close();
    await untilIs(named, 'whole');
    await untilIs(anonymous, 'whole');
    expect(download.state()).toBe('open');
    // The drain period of this gateway is 2 s.
    await untilIs(download, 'cut', 6_000);
    await stopping;
  });

  test('an upload is 401 within a second of a revocation, and stays incomplete at the service', async () => {
    const before = gateway.upstream.requests.length;
    const token = await gateway.issuer.accessToken(subject);
    const upload = httpRequest({
      port: gateway.port,
      host: '127.0.0.1',
      path: '/v1/upload',
      method: 'POST',
      headers: { host: 'gateway.test', authorization: `Bearer ${token}`, 'content-length': 1_000 },
    });
    upload.write('half');
    await eventually(() => expect(gateway.upstream.underWay()).toBe(1));
    gateway.issuerServer.revoke(feedItem('session', { sid: 's-1' }));
    const [response] = (await once(upload, 'response')) as [IncomingMessage];
    expect(response.statusCode).toBe(401);
    // The gateway discards the rest of the upload.
    upload.end('x'.repeat(996));
    await once(response.resume(), 'end');
    expect(gateway.upstream.requests.length).toBe(before);
  });
});

const sidOf = (token: string): string =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).sid as string;
