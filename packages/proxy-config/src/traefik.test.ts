import { expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { printTraefik } from './traefik.ts';

test('Traefik takes a token from the decision only, and hides the challenge of the service that gets it', () => {
  const route = (name: string, header?: string) => ({
    name,
    segments: [{ kind: 'literal', text: name }] as const,
    methods: ['GET'],
    needsToken: true,
    upstream: {
      name,
      identity: {
        headers: true,
        token: header === undefined ? undefined : { header, unauthorized: 'refuse' as const },
      },
      targets: ['http://127.0.0.1:9000'],
      timeouts: { connectMs: 1_000, responseMs: 2_000, idleMs: 2_000 },
    },
    websocket: false,
    body: { mode: 'none' as const, maxBytes: 0 },
  });
  const { text } = printTraefik({
    listen: '0.0.0.0:8000',
    public: { host: '127.0.0.1', port: 8080, isTls: false },
    decision: { host: '127.0.0.1', port: 8091, isTls: false },
    serverName: 'gateway.test',
    secret: undefined,
    routes: [route('orders', 'countersign-token'), route('bearer', 'authorization'), route('plain')],
    strip: ['countersign-token'],
    errors: {},
  })['dynamic.yaml'] ?? { text: '' };
  const { middlewares, routers } = parse(text).http;
  expect(middlewares.countersign.forwardAuth.authResponseHeaders).toEqual(
    expect.arrayContaining(['countersign-token', 'authorization']),
  );
  expect(middlewares['countersign-clean'].headers).toMatchObject({
    customRequestHeaders: { 'countersign-token': '' },
    customResponseHeaders: { 'countersign-token': '' },
  });
  expect(middlewares['countersign-token'].headers.customResponseHeaders).toEqual({
    authorization: '',
    'www-authenticate': '',
  });
  const hides = (name: string) => routers[name].middlewares.includes('countersign-token');
  expect([hides('orders'), hides('bearer'), hides('plain')]).toEqual([true, true, false]);
});
