import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import express from 'express';
import Fastify from 'fastify';
import { verifyIdentity as onExpress } from '../src/adapters/express.ts';
import { verifyIdentity as onFastify } from '../src/adapters/fastify.ts';
import { protect } from '../src/adapters/web.ts';
import { createVerifier } from '../src/index.ts';
import { testGateway } from '../src/testing.ts';

const gateway = testGateway({ audience: 'things' });
const verifier = createVerifier({ audience: 'things', keys: gateway.keys, replay: gateway.replay });
const relayed = {
  'X-Identity-Refused': 'key_unknown',
  'x-identity-unavailable': 'x',
  'www-authenticate': 'Countersign',
};

const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  stops.push(() => new Promise((resolve) => server.close(resolve)));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function inExpress(handle: (res: ServerResponse) => void): Promise<string> {
  const app = express().disable('x-powered-by');
  app.use(onExpress({ verifier }), (_req, res) => handle(res));
  return serve(app);
}

async function inFastify(handle: (reply: import('fastify').FastifyReply) => unknown): Promise<string> {
  const app = Fastify();
  await app.register(onFastify, { verifier });
  app.get('/*', (_request, reply) => handle(reply));
  stops.push(() => app.close());
  return app.listen({ port: 0, host: '127.0.0.1' });
}

/** Responds as another service did whose response this handler relays. */
const handlers: [string, () => Promise<string>][] = [
  [
    'Express, by setHeader',
    () =>
      inExpress(
        (res) =>
          void res
            .setHeaders(new Map(Object.entries(relayed)))
            .writeHead(401)
            .end(),
      ),
  ],
  [
    'Express, without writeHead',
    () =>
      inExpress((res) => {
        res.statusCode = 401;
        res.setHeaders(new Map(Object.entries(relayed))).end();
      }),
  ],
  [
    'Express, by flushHeaders',
    () =>
      inExpress((res) => {
        res.statusCode = 401;
        res.setHeaders(new Map(Object.entries(relayed))).flushHeaders();
        res.end();
      }),
  ],
  ['Express, by an object', () => inExpress((res) => void res.writeHead(401, 'No', relayed).end())],
  ['Express, by a list', () => inExpress((res) => void res.writeHead(401, Object.entries(relayed).flat()).end())],
  [
    'Express, by pairs',
    () => inExpress((res) => void res.writeHead(401, Object.entries(relayed) as unknown as string[]).end()),
  ],
  ['Fastify', () => inFastify((reply) => reply.code(401).headers(relayed).send('no'))],
  ['Fastify, hijacked', () => inFastify((reply) => void reply.hijack().raw.writeHead(401, relayed).end())],
  [
    'a handler of Web requests',
    () => {
      const handler = protect({ verifier }, () => new Response('no', { status: 401, headers: relayed }));
      return serve((req, res) => {
        const headers = Object.entries(req.headers) as [string, string][];
        void handler(new Request(`http://service.test${req.url}`, { headers })).then(async (answer) => {
          res.writeHead(answer.status, Object.fromEntries(answer.headers)).end(await answer.text());
        });
      });
    },
  ],
];

describe.each(handlers)('%s', (_name, start) => {
  test.each(['/things', '/healthz'])(
    'a handler that relays a 401 of another service for %s refuses no key',
    async (path) => {
      const { headers } = gateway.signedRequest({ path });
      const answer = await fetch((await start()) + path, { headers });
      expect(answer.status).toBe(401);
      expect(answer.headers.get('www-authenticate')).toBe('Countersign');
      expect([...answer.headers.keys()].filter((name) => name.startsWith('x-identity-'))).toEqual([]);
    },
  );

  test("the verifier's own refusal keeps its reason", async () => {
    const answer = await fetch(`${await start()}/things`);
    expect([answer.status, answer.headers.get('x-identity-refused')]).toEqual([401, 'signature_missing']);
  });
});
