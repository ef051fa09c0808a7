import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { errorTable } from '../src/errors.ts';
import { type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';

const browser = 'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n';
const navigates = 'Sec-Fetch-Mode: navigate\r\n';

describe('a refusal by the gateway', () => {
  let gateway: GatewayUnderTest;
  beforeAll(async () => {
    const cors = 'trustedProxies: []\ncors: { origins: ["https://app.example.test"] }';
    gateway = await gatewayUnderTest({ edits: [['trustedProxies: []', cors]] });
  });
  afterAll(() => gateway.close());
  const send = (line: string, lines = '') => gateway.raw(`${line} HTTP/1.1\r\n<host>\r\n${lines}<close>\r\n\r\n`);

  test.each([
    ['that navigates', navigates],
    ['that prefers HTML', browser],
    ['that prefers HTML a little', 'Accept: application/json;q=0.8, text/html;q=0.9\r\n'],
  ])('is a page for a GET %s', async (_what, lines) => {
    const { status, headers, body } = await send('GET /v1/admin/%3Cscript%3E?token=secret', lines);
    expect([status, headers['content-type']]).toEqual([404, 'text/html; charset=utf-8']);
    const [, style = ''] = /<style>(.*)<\/style>/.exec(body) ?? [];
    const hash = createHash('sha256').update(style).digest('base64');
    expect(headers).toMatchObject({
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      vary: 'Origin, Accept, Accept-Language, Sec-Fetch-Mode',
      'content-security-policy': `default-src 'none'; style-src 'sha256-${hash}'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'`,
    });
    expect(body).toContain(headers['x-request-id']);
    expect(body).not.toMatch(/<script|secret|\/v1|no_route/);
  });

  test.each([
    ['a program', 'GET', ''],
    ['any type', 'GET', 'Accept: */*\r\n'],
    ['JSON as much as HTML', 'GET', 'Accept: application/json, text/html;q=0.9\r\n'],
    ['a script of a page', 'GET', 'Accept: */*\r\nSec-Fetch-Mode: cors\r\n'],
    ['a form', 'POST', `${navigates}${browser}Content-Length: 0\r\n`],
  ])('is a problem document for %s', async (_what, method, lines) => {
    const { headers, code } = await send(`${method} /nothing`, lines);
    expect([headers['content-type'], code]).toEqual(['application/problem+json', 'no_route']);
  });

  test('keeps the status, the challenge, and what CORS varies by', async () => {
    const { status, headers, body } = await send('GET /v1/admin', `${navigates}Origin: https://app.example.test\r\n`);
    expect([status, headers['www-authenticate']]).toEqual([401, expect.stringMatching(/^Bearer /)]);
    expect(headers.vary).toBe('Origin, Accept, Accept-Language, Sec-Fetch-Mode');
    expect(body).toContain('<html lang="en">');
    expect((await send('GET /nothing', `${navigates}Accept-Language: de-AT\r\n`)).body).toContain('<html lang="de">');
    expect(gateway.upstream.requests).toEqual([]);
  });

  test('is a page without a word of the code or its public text, whatever the code', async () => {
    const { body } = await send('GET /nothing', navigates);
    for (const [code, { title }] of Object.entries(errorTable)) {
      expect(body).not.toContain(code);
      expect(body).not.toContain(title);
    }
  });

  test('is a problem document with errors.pages: false, and on the internal listener', async () => {
    const other = await gatewayUnderTest({ edits: [['trustedProxies: []', 'errors: { pages: false }']] });
    const { code } = await other.raw(`GET /nothing HTTP/1.1\r\n<host>\r\n${navigates}${browser}<close>\r\n\r\n`);
    expect(code).toBe('no_route');
    await other.close();
    expect(JSON.parse((await send('GET /nothing')).body)).not.toHaveProperty('docs');
    const headers = { 'sec-fetch-mode': 'navigate', accept: 'text/html' };
    const internal = await fetch(`http://127.0.0.1:${gateway.running.ports.internal}/nothing`, { headers });
    expect(internal.headers.get('content-type')).toBe('application/problem+json');
  });

  test.each(['https://docs.example.test/errors', 'https://docs.example.test/errors/'])(
    'names the page of its code below errors.docs: %s',
    async (docs) => {
      const other = await gatewayUnderTest({ edits: [['trustedProxies: []', `errors: { docs: "${docs}" }`]] });
      const refusals = [
        await other.raw('GET /nothing HTTP/1.1\r\n<host>\r\n<close>\r\n\r\n'),
        await other.raw(
          'GET / HTTP/1.1\r\n<host>\r\nUpgrade: websocket\r\nConnection: upgrade\r\n' +
            'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
        ),
        await other.raw('nonsense\r\n\r\n'),
      ];
      for (const { body, code } of refusals)
        expect(JSON.parse(body)).toMatchObject({
          type: `urn:countersign:error:${code}`,
          docs: `https://docs.example.test/errors/${code}`,
        });
      expect(refusals.map(({ code }) => code)).toEqual(['no_route', 'no_route', 'invalid_request']);
      await other.close();
    },
  );
});
