import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from '@jest/globals';
import type { Request, Response } from 'express';
import { createListenerApp, GatewayResponse, type Handlers } from './request-handler.ts';

test('requests already have the prototypes that Express would set, so Express changes none', async () => {
  const created: object[] = [];
  const served: object[] = [];
  const handlers: Partial<Handlers> = {
    request(request: Request, response) {
      served.push(Object.getPrototypeOf(request), Object.getPrototypeOf(response));
      expect(response).toBeInstanceOf(GatewayResponse);
      (response as Response).status(200).json({ ip: request.ip });
    },
  };
  const app = createListenerApp(
    {
      current: {
        handlers: { public: handlers as Handlers, internal: handlers as Handlers },
        events: () => undefined,
      },
    },
    'public',
  );
  const server = createServer(app.classes, (request, response) => {
    created.push(Object.getPrototypeOf(request), Object.getPrototypeOf(response));
    app.serve(request, response as GatewayResponse);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const answer = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  expect(await answer.json()).toEqual({ ip: '127.0.0.1' });
  server.close();
  expect(created).toHaveLength(2);
  expect(served).toEqual(created);
  for (const [index, prototype] of created.entries()) expect(served[index]).toBe(prototype);
});
