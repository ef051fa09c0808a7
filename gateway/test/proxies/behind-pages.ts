import { isInstalled } from '@countersign/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { dpopClient } from '../dpop-client.ts';
import { gatewayWithReplay } from '../dpop-gateway.ts';
import type { RawAnswer } from '../gateway-under-test.ts';
import type { Behind } from './behind.ts';
import { type ProxyUnderTest, proxyUnderTest } from './proxy-under-test.ts';

const app = 'https://app.example.test';

const routes = `
  - { name: things, path: "/v1/things/**", methods: [GET], upstream: things, auth: required, body: { mode: none } }
  - { name: moved, path: "/v2/things/**", methods: [GET], upstream: things, auth: required, rewrite: { prefix: { from: /v2, to: /v1 } } }
  - { name: upload, path: /v1/upload, methods: [POST], upstream: things, auth: required, body: { mode: stream, unsigned: accept }, longLived: accept }
`;

/** What a service must not say to the client: who calls, and which pages may read. */
const told = {
  'X-User-Id': 'evil',
  'X-User-Email': 'evil',
  'X-Tenant-Name': 'evil',
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Allow-Credentials': 'evil',
  Vary: 'Accept-Encoding',
};

/** What pages and their proofs depend on, behind every real proxy. */
export function describePages({ proxy: name, start, passesLimits, showsLength }: Behind): void {
  (isInstalled(name) ? describe : describe.skip)(`pages behind a real ${name}`, () => {
    let proxy: ProxyUnderTest;
    let seen = 0;
    beforeAll(async () => {
      const nonces = passesLimits ? `dpop: { nonces: { secret: "\${NONCE_SECRET}" } }\n` : '';
      proxy = await proxyUnderTest({
        proxy: name,
        routes,
        edits: [
          ['trustedProxies: []', `${nonces}trustedProxies: []\ncors: { origins: ["${app}"], credentials: true }`],
        ],
        open: async (options) => (await gatewayWithReplay(options)).gateway,
        upstream: {
          answer(request, response) {
            if (request.target === '/v1/things/hints') response.writeEarlyHints({ link: '</a.css>; rel=preload' });
            response.writeHead(200, told).end(request.target);
          },
        },
        start,
      });
    });
    afterAll(() => proxy.close());
    beforeEach(() => {
      seen = proxy.gateway.upstream.requests.length;
    });
    const arrived = () => proxy.gateway.upstream.requests.slice(seen);
    const corsOf = ({ text }: RawAnswer) =>
      [...text.matchAll(/^(access-control-allow-(?:origin|credentials): .*)\r$/gim)].map(([, line]) =>
        line?.toLowerCase(),
      );
    const preflight = (origin: string) =>
      proxy.raw(
        `OPTIONS /v1/things/1 HTTP/1.1\r\n<host>\r\nOrigin: ${origin}\r\nAccess-Control-Request-Method: GET\r\n<close>\r\n\r\n`,
      );

    const readable = [`access-control-allow-origin: ${app}`, 'access-control-allow-credentials: true'];

    test('a preflight is answered for a listed origin, and refused for another', async () => {
      const [listed, other] = [await preflight(app), await preflight('https://evil.test')];
      expect([listed.status, corsOf(listed).toSorted()]).toEqual([204, readable.toSorted()]);
      expect(listed.headers['access-control-allow-methods']).toBe('GET, HEAD');
      expect([other.status, other.code, corsOf(other), arrived().length]).toEqual([403, 'origin_not_allowed', [], 0]);
    });

    test.each([
      [app, '<token>\r\n', 200, readable],
      [app, '', 401, readable],
      ['https://evil.test', '<token>\r\n', 200, []],
    ])('a page from %s may read exactly what gateway.yaml allows (case %#)', async (origin, token, status, cors) => {
      const answer = await proxy.get('/v1/things/1', `${token}Origin: ${origin}\r\n`);
      expect([answer.status, corsOf(answer).toSorted()]).toEqual([status, cors.toSorted()]);
      expect(answer.text).toMatch(/^vary: .*Origin/im);
      if (status === 200) expect(answer.text).toMatch(/^vary: .*Accept-Encoding/im);
    });

    test("a service's response reveals nothing about the caller", async () => {
      expect((await proxy.get('/v1/things/1')).text).not.toContain('evil');
    });

    test('a DPoP proof is for the target before the rewrite, and nonces reach the client', async () => {
      const client = dpopClient();
      const token = await proxy.gateway.issuer.accessToken({ cnf: { jkt: client.thumbprint } });
      const ask = (path: string, nonce?: string) => {
        const proof = client.proof({ url: `http://gateway.test${path}`, token, ...(nonce && { nonce }) });
        return proxy.get('/v2/things/7', `Authorization: DPoP ${token}\r\nDPoP: ${proof}\r\n`);
      };
      let nonce: string | undefined;
      if (passesLimits) {
        const challenge = await ask('/v2/things/7');
        expect([challenge.status, challenge.code]).toEqual([401, 'dpop_nonce_required']);
        nonce = challenge.headers['dpop-nonce'];
        expect(nonce).toBeDefined();
      }
      expect((await ask('/v1/things/7', nonce)).code).toBe('dpop_proof_mismatch');
      expect(arrived()).toEqual([]);
      expect((await ask('/v2/things/7', nonce)).status).toBe(200);
      expect(arrived().map(({ target }) => target)).toEqual(['/v1/things/7']);
    });

    test.each(['gateway.test', 'other.test'])('an absolute URL of %s is refused, and nothing arrives', async (host) => {
      const { status } = await proxy.raw(
        `GET http://${host}/v1/things/1 HTTP/1.1\r\n<host>\r\n<token>\r\n<close>\r\n\r\n`,
      );
      expect([[400, 421].includes(status), arrived().length]).toEqual([true, 0]);
    });

    test.each([
      'Content-Length: 4\r\n<close>\r\n\r\nbody',
      'Transfer-Encoding: chunked\r\n<close>\r\n\r\n4\r\nbody\r\n0\r\n\r\n',
    ])('a GET with a body reaches no handler (case %#)', async (rest) => {
      await proxy.raw(`GET /v1/things/1 HTTP/1.1\r\n<host>\r\n<token>\r\n${rest}`);
      // Caddy does not see chunks, so the service refuses them.
      expect(arrived()).toHaveLength(showsLength || rest.startsWith('Content') ? 0 : 1);
      for (const request of arrived())
        await expect(proxy.verify(request)).rejects.toMatchObject({ reason: 'content_digest_missing' });
    });

    test("a client's trailers never become headers for the service", async () => {
      await proxy.raw(
        'POST /v1/upload HTTP/1.1\r\n<host>\r\n<token>\r\nTransfer-Encoding: chunked\r\nTrailer: X-User-Id\r\n<close>\r\n\r\n4\r\nbody\r\n0\r\nX-User-Id: evil\r\n\r\n',
      );
      const [request] = arrived();
      expect([request?.body.toString(), request?.headers['x-user-id'] === 'evil']).toEqual(['body', false]);
      expect(request?.rawTrailers).toEqual(name === 'haproxy' ? ['x-user-id', 'evil'] : []);
    });

    test('after a service sent early hints, the next client gets its own response', async () => {
      await proxy.get('/v1/things/hints');
      expect((await proxy.get('/v1/things/next')).body).toBe('/v1/things/next');
    });
  });
}
