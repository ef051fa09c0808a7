import { createHash, randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { eventually } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';

const digestOf = (body: Buffer | string) => `sha-256=:${createHash('sha256').update(body).digest('base64')}:`;

describe('the body of a request', () => {
  let gateway: GatewayUnderTest;
  let token: string;
  beforeAll(async () => {
    gateway = await gatewayUnderTest();
    token = await gateway.issuer.accessToken();
  });
  afterAll(() => gateway.close());

  const fields = () => `Host: gateway.test\r\nAuthorization: Bearer ${token}\r\n`;
  const post = (path: string, headers: string, body: string, method = 'POST') =>
    gateway.raw(`${method} ${path} HTTP/1.1\r\n${fields()}${headers}<close>\r\n\r\n${body}`);
  async function refused(...request: Parameters<typeof post>) {
    const before = gateway.upstream.requests.length;
    const { status, code } = await post(...request);
    expect(gateway.upstream.requests.length).toBe(before);
    return [status, code];
  }

  describe('in digest mode', () => {
    test('arrives unchanged, with its digest', async () => {
      const body = '{"title":"é"}';
      const bytes = Buffer.from(body, 'latin1');
      await post('/v1/things', `Content-Type: application/json\r\nContent-Length: ${bytes.length}\r\n`, body);
      const { headers, body: arrived } = gateway.upstream.last();
      expect(arrived).toEqual(bytes);
      expect(headers).toMatchObject({
        'content-type': 'application/json',
        'content-digest': digestOf(bytes),
        'content-length': '13',
      });
      expect(headers['signature-input']).toMatch(/"content-type" "content-digest"\);/);
    });

    test('sent in chunks arrives with a length', async () => {
      await post('/v1/things', 'Transfer-Encoding: chunked\r\n', '3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\n\r\n');
      const { headers, body } = gateway.upstream.last();
      expect(body.toString()).toBe('abcde');
      expect(headers).toMatchObject({ 'content-length': '5', 'content-digest': digestOf('abcde') });
      expect(headers['transfer-encoding']).toBeUndefined();
    });

    test.each(['POST', 'DELETE', 'OPTIONS'])('has a digest even when it is empty: %s', async (method) => {
      expect((await post('/v1/things/1', '', '', method)).status).toBe(200);
      expect(gateway.upstream.last().headers['content-digest']).toBe(digestOf(''));
    });

    test('has no content-encoding when it is empty', async () => {
      expect((await post('/v1/things/1', 'Content-Encoding: gzip\r\n', '', 'DELETE')).status).toBe(200);
      expect(gateway.upstream.last().headers).not.toHaveProperty('content-encoding');
    });

    test('of a GET has no digest', async () => {
      await post('/v1/things/1', '', '', 'GET');
      expect(gateway.upstream.last().headers['content-digest']).toBeUndefined();
    });

    test('of exactly the limit passes; one byte more is 413, with a length or in chunks', async () => {
      const limit = 64 * 1024;
      expect((await post('/v1/things', `Content-Length: ${limit}\r\n`, 'a'.repeat(limit))).status).toBe(200);
      expect(await refused('/v1/things', `Content-Length: ${limit + 1}\r\n`, 'a'.repeat(limit + 1))).toEqual([
        413,
        'payload_too_large',
      ]);
      const chunk = `${(limit + 1).toString(16)}\r\n${'a'.repeat(limit + 1)}\r\n0\r\n\r\n`;
      expect(await refused('/v1/things', 'Transfer-Encoding: chunked\r\n', chunk)).toEqual([413, 'payload_too_large']);
    });

    test('that is far too large is refused before it arrives', async () => {
      expect(await refused('/v1/things', 'Content-Length: 99999999999\r\n', 'a')).toEqual([413, 'payload_too_large']);
    });

    test.each(['gzip', 'br', 'identity', ''])('with Content-Encoding: %s is 415', async (encoding) => {
      expect(await refused('/v1/things', `Content-Encoding: ${encoding}\r\nContent-Length: 1\r\n`, 'a')).toEqual([
        415,
        'unsupported_media_type',
      ]);
    });

    test.each(['two', 'one of two', 'a non-ASCII one'])('with a bad Content-Type is 400: %s', async (kind) => {
      const type =
        kind === 'a non-ASCII one' ? 'Content-Type: té/xt\r\n' : 'Content-Type: a/b\r\ncontent-type: a/c\r\n';
      expect(await refused('/v1/things', `${type}Content-Length: 1\r\n`, 'a')).toEqual([400, 'invalid_request']);
    });

    test('never reaches the service when it is incomplete', async () => {
      const before = gateway.upstream.requests.length;
      const client = connect(gateway.port, '127.0.0.1');
      client.write(`POST /v1/things?half HTTP/1.1\r\n${fields()}Content-Length: 100\r\n\r\nabc`, () =>
        client.destroy(),
      );
      await eventually(() =>
        expect(gateway.log.lines()).toContainEqual(
          expect.objectContaining({
            msg: 'request',
            route: 'things',
            code: 'invalid_request',
            detail: { parser: 'HPE_INVALID_EOF_STATE' },
          }),
        ),
      );
      expect(gateway.upstream.requests.length).toBe(before);
    });
  });

  describe('in stream mode', () => {
    test('arrives without a digest, with its length', async () => {
      const body = randomBytes(3 * 1024 * 1024);
      const { status } = await gateway.ask('/v1/upload', {
        method: 'POST',
        token,
        headers: { 'content-encoding': 'gzip' },
        body,
      });
      expect(status).toBe(200);
      const { headers, body: arrived } = gateway.upstream.last();
      expect(arrived.equals(body)).toBe(true);
      expect(headers).toMatchObject({ 'content-length': String(body.length), 'content-encoding': 'gzip' });
      expect(headers['content-digest']).toBeUndefined();
      expect(headers['signature-input']).not.toContain('content-type');
    });

    test('sent in chunks arrives completely', async () => {
      await post('/v1/upload', 'Transfer-Encoding: chunked\r\n', '3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n');
      expect(gateway.upstream.last().body.toString()).toBe('abcde');
    });

    test('is cut off with 413 when it is too large', async () => {
      const size = 9 * 1024 * 1024;
      expect(await refused('/v1/upload', `Content-Length: ${size}\r\n`, 'a')).toEqual([413, 'payload_too_large']);
      const chunk = `${size.toString(16)}\r\n${'a'.repeat(size)}\r\n0\r\n\r\n`;
      expect(await refused('/v1/upload', 'Transfer-Encoding: chunked\r\n', chunk)).toEqual([413, 'payload_too_large']);
    });
  });

  test('is refused in mode none', async () => {
    expect((await post('/v1/bare', '', '')).status).toBe(200);
    expect((await post('/v1/bare', 'Content-Length: 0\r\n', '')).status).toBe(200);
    expect(await refused('/v1/bare', 'Content-Length: 1\r\n', 'a')).toEqual([400, 'body_not_allowed']);
    expect(await refused('/v1/bare', 'Transfer-Encoding: chunked\r\n', '0\r\n\r\n')).toEqual([400, 'body_not_allowed']);
  });
});
