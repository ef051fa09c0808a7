import type { RequestListener } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import express from 'express';
import Fastify, { type FastifyReply } from 'fastify';
import { Hono } from 'hono';
import { verifyIdentity as onExpress, publishAgreementKeys } from '../src/adapters/express.ts';
import { verifyIdentity as onFastify } from '../src/adapters/fastify.ts';
import { verifyIdentity as onWeb, protect } from '../src/adapters/web.ts';
import { agreementKeysIn, newAgreementJwk, type Verifier } from '../src/index.ts';
import { audience } from './forge.ts';
import { verifierAt } from './verifier.ts';

const path = '/.well-known/jwks.json';
const own = { issuer: 'me', keys: [{ kty: 'EC', kid: 'mine', crv: 'P-256', x: 'x', y: 'y' }] };
const jwk = newAgreementJwk(audience);
const { d: _private, ...half } = jwk;
const agreeing = () => verifierAt(undefined, { agreement: { keys: [jwk] } });

type Handler = (verifier: Verifier) => Promise<string> | string;
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

async function serveFastify(verifier: Verifier, set: (app: ReturnType<typeof Fastify>) => void): Promise<string> {
  const app = Fastify();
  await app.register(onFastify, { verifier });
  set(app);
  stops.push(() => app.close());
  return app.listen({ port: 0, host: '127.0.0.1' });
}

function honoApp(verifier: Verifier, ownKeySet?: () => object): Hono {
  const app = new Hono();
  const verify = onWeb({ verifier, ...(ownKeySet && { ownKeySet }) });
  app.use(async (c, next) => {
    c.req.raw = await verify(c.req.raw);
    await next();
  });
  return app;
}

const serveHono = (app: Readonly<{ fetch(request: Request): Response | Promise<Response> }>) =>
  serve((req, res) => {
    const request = new Request(`http://service.test${req.url}`, {
      method: req.method ?? 'GET',
      headers: Object.entries(req.headers) as [string, string][],
    });
    void Promise.resolve(app.fetch(request)).then(async (answer) => {
      res.writeHead(answer.status, Object.fromEntries(answer.headers));
      res.end(Buffer.from(await answer.arrayBuffer()));
    });
  });

function protectedHono(verifier: Verifier, set: (app: Hono) => void): Promise<string> {
  const app = new Hono();
  set(app);
  return serveHono({ fetch: protect({ verifier }, (request) => app.fetch(request)) });
}

const expressApp = (verifier: Verifier, set: (app: express.Express) => void) => {
  const app = express();
  app.use(onExpress({ verifier }));
  set(app);
  return serve(app);
};

/** Services without their own key set. */
const bare: [string, Handler][] = [
  ['Express', (verifier) => expressApp(verifier, () => {})],
  ['Express with its own 404', (v) => expressApp(v, (app) => app.use((_req, res) => void res.status(404).json({})))],
  ['Fastify', (verifier) => serveFastify(verifier, () => {})],
  ['Hono', (verifier) => serveHono(honoApp(verifier))],
  ['Hono in protect', (verifier) => protectedHono(verifier, () => {})],
];

/** Services with their own key set. */
const withOwn: [string, Handler][] = [
  ['Express', (v) => expressApp(v, (app) => app.get(path, (_req, res) => void res.json(own)))],
  [
    'Express that writes by hand',
    (v) =>
      expressApp(v, (app) =>
        app.get(path, (_req, res) => {
          res.writeHead(200, { 'content-type': 'application/json', 'content-length': JSON.stringify(own).length });
          res.flushHeaders();
          res.write(JSON.stringify(own).slice(0, 5));
          res.end(JSON.stringify(own).slice(5));
        }),
      ),
  ],
  [
    'Express whose key set comes before verifyIdentity',
    (verifier) => {
      const app = express();
      app.use(publishAgreementKeys(verifier));
      app.get(path, (_req, res) => void res.json(own));
      app.use(onExpress({ verifier }));
      return serve(app);
    },
  ],
  ['Fastify', (v) => serveFastify(v, (app) => app.get(path, async () => own))],
  ['Hono', (verifier) => serveHono(honoApp(verifier, () => own))],
  ['Hono in protect', (v) => protectedHono(v, (app) => app.get(path, (c) => c.json(own)))],
];

describe.each(bare)('%s without a key set of its own', (_name, start) => {
  test('publishes its key for agreement, without the private half', async () => {
    const answer = await fetch((await start(agreeing())) + path);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toMatch(/^application\/jwk-set\+json/);
    expect(answer.headers.get('cache-control')).toBe('public, max-age=60');
    const text = await answer.text();
    expect(JSON.parse(text)).toEqual({ keys: [half] });
    expect(text).not.toContain(jwk.d);
    expect(agreementKeysIn(JSON.parse(text))?.map(({ kid }) => kid)).toEqual([half.kid]);
  });

  test('publishes nothing without agreement', async () => {
    const answer = await fetch((await start(verifierAt())) + path);
    expect(await answer.text()).not.toContain('countersign-agreed-v1');
  });

  test('responds to HEAD without a body, and with 304 to its own tag', async () => {
    const url = (await start(agreeing())) + path;
    const head = await fetch(url, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
    const etag = (await fetch(url)).headers.get('etag') ?? '';
    expect(etag).toMatch(/^"[A-Za-z0-9_-]{22}"$/);
    expect(head.headers.get('etag')).toBe(etag);
    expect((await fetch(url, { headers: { 'if-none-match': etag } })).status).toBe(304);
    expect((await fetch(url, { headers: { 'if-none-match': '"x"' } })).status).toBe(200);
  });

  test('refuses other paths and methods without a signature', async () => {
    const url = await start(agreeing());
    for (const [target, method] of [
      ['/jwks.json', 'GET'],
      [path, 'POST'],
    ] as const) {
      expect((await fetch(url + target, { method })).status).toBe(401);
    }
  });
});

describe.each(withOwn)('%s with a key set of its own', (_name, start) => {
  test('keeps it, and appends its key for agreement once', async () => {
    const answer = await fetch((await start(agreeing())) + path);
    expect(answer.status).toBe(200);
    expect(await answer.json()).toEqual({ ...own, keys: [...own.keys, half] });
  });

  test('answers a conditional request for the old set with the new one', async () => {
    const url = (await start(agreeing())) + path;
    const plain = await fetch(url, { headers: { 'if-none-match': '*', 'accept-encoding': 'gzip' } });
    expect(plain.status).toBe(200);
    const etag = plain.headers.get('etag') ?? '';
    expect((await fetch(url, { headers: { 'if-none-match': etag } })).status).toBe(304);
  });
});

/** Services that answer with something else at the path of the key set. */
const others: [string, (status: number, headers: Record<string, string>, body: string) => Handler][] = [
  [
    'Express',
    (status, headers, body) => (v) =>
      expressApp(v, (app) => app.get(path, (_req, res) => void res.writeHead(status, headers).end(body))),
  ],
  [
    'Fastify',
    (status, headers, body) => (v) =>
      serveFastify(v, (app) =>
        app.get(path, async (_req: unknown, reply: FastifyReply) => reply.code(status).headers(headers).send(body)),
      ),
  ],
  [
    'Hono in protect',
    (status, headers, body) => (v) =>
      protectedHono(v, (app) => app.get(path, () => new Response(body, { status, headers }))),
  ],
];

describe.each(others)('%s', (_name, answering) => {
  test.each([
    ['an error', 503, { 'retry-after': '1' }, 'later'],
    ['a redirect to the real set', 302, { location: 'https://id.example/keys' }, ''],
    ['a log-in', 401, { 'www-authenticate': 'Basic' }, 'who?'],
    ['a page', 200, { 'content-type': 'text/html' }, '<p>'],
    ['JSON that is not a key set', 200, { 'content-type': 'application/json; charset=utf-8' }, '{"keys":1}'],
  ] as const)('%s at the path of the key set stays as it is', async (_what, status, headers, body) => {
    const answer = await fetch((await answering(status, headers, body)(agreeing())) + path, { redirect: 'manual' });
    expect([answer.status, await answer.text()]).toEqual([status, body]);
    expect(Object.fromEntries(answer.headers)).toMatchObject(headers);
  });
});
