import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createVerifier, gatewayKeys, memoryReplay } from '@countersign/identity';
import * as onExpress from '@countersign/identity/express';
import * as onFastify from '@countersign/identity/fastify';
import * as onWeb from '@countersign/identity/web';
import { eventually, freePorts } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import express from 'express';
import fastify from 'fastify';
import { type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';

type Service = Readonly<{ url: string; close(): unknown }>;
type Start = (audience: string) => Promise<Service>;

async function listening(server: Server): Promise<Service> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, close: () => server.close().closeAllConnections() };
}

/** Requests that reached a handler. */
const handled: string[] = [];

const starts = (keys: ReturnType<typeof gatewayKeys>): Readonly<Record<string, Start>> => {
  const verifierOf = (audience: string) => createVerifier({ audience, keys, replay: memoryReplay() });
  return {
    async express(audience) {
      const app = express();
      app.use(onExpress.verifyIdentity({ verifier: verifierOf(audience) }));
      app.all('/bodiless', onExpress.requireIdentity(), (req, res) => void res.json(handled.push(req.method)));
      return listening(createServer(app));
    },
    async fastify(audience) {
      const app = fastify({ forceCloseConnections: true });
      await app.register(onFastify.verifyIdentity, { verifier: verifierOf(audience) });
      app.route({
        method: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
        url: '/bodiless',
        preHandler: onFastify.requireIdentity(),
        handler: async (request) => handled.push(request.method),
      });
      return { url: await app.listen({ host: '127.0.0.1', port: 0 }), close: () => app.close() };
    },
    async web(audience) {
      const verify = onWeb.verifyIdentity({ verifier: verifierOf(audience) });
      const server = createServer(async ({ method = '', url, headers }, res) => {
        const request = new Request(`http://service.test${url}`, {
          method,
          headers: headers as Record<string, string>,
        });
        try {
          onWeb.requireIdentity(await verify(request));
          res.end(String(handled.push(method)));
        } catch (error) {
          const { status } = (error as onWeb.IdentityResponse).getResponse();
          res.writeHead(status, { 'x-identity-refused': String(error) }).end();
        }
      });
      return listening(server);
    },
  };
};

describe.each(['express', 'fastify', 'web'])('a route with body mode none, in front of the %s adapter', (adapter) => {
  let gateway: GatewayUnderTest;
  let service: Service;
  let keys: ReturnType<typeof gatewayKeys>;
  let token: string;

  beforeAll(async () => {
    const [internal] = await freePorts(1);
    keys = gatewayKeys({ url: `http://127.0.0.1:${internal}/.well-known/jwks.json` });
    service = await (starts(keys)[adapter] as Start)(adapter);
    gateway = await gatewayUnderTest({
      edits: [
        ['internal: "127.0.0.1:0"', `internal: "127.0.0.1:${internal}"`],
        ['upstreams:\n', `upstreams:\n  ${adapter}: { targets: ["${service.url}"] }\n`],
        [
          'routes:\n',
          `routes:\n  - { name: bodiless, path: /bodiless, methods: [GET, POST, PUT, PATCH, DELETE], upstream: ${adapter}, auth: required, body: { mode: none } }\n`,
        ],
      ],
    });
    keys.start();
    token = await gateway.issuer.accessToken();
    // Replay memory starts at the next whole second.
    await eventually(async () => expect(await gateway.ask('/bodiless', { token })).toMatchObject({ status: 200 }));
  });
  afterAll(async () => {
    keys.stop();
    await gateway.close();
    await service.close();
  });

  const send = (method: string, headers = '', body = '') =>
    gateway.raw(
      `${method} /bodiless HTTP/1.1\r\n<host>\r\nAuthorization: Bearer ${token}\r\n<close>\r\n${headers}\r\n${body}`,
    );

  test.each(['GET', 'POST', 'PUT', 'PATCH', 'DELETE'])('%s without a body arrives', async (method) => {
    handled.length = 0;
    for (const headers of ['', ...(method === 'GET' ? [] : ['Content-Length: 0\r\n'])]) {
      const { status, text } = await send(method, headers);
      expect([status, text]).toEqual([200, expect.anything()]);
    }
    expect(handled).toEqual(method === 'GET' ? [method] : [method, method]);
  });

  test.each([
    ['POST', 'Content-Length: 1\r\n', 'a'],
    ['DELETE', 'Content-Length: 1\r\n', 'a'],
    ['POST', 'Transfer-Encoding: chunked\r\n', '1\r\na\r\n0\r\n\r\n'],
    ['GET', 'Content-Length: 1\r\n', 'a'],
  ])('%s with a body (%p) is refused, and nothing arrives', async (method, headers, body) => {
    handled.length = 0;
    expect(await send(method, headers, body)).toMatchObject({ status: 400, code: 'body_not_allowed' });
    expect(handled).toEqual([]);
  });
});
