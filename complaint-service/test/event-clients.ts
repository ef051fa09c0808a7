import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServiceServer } from '@countersign/process-kit';
import { asUser, eventually } from '@countersign/testing';
import { expect } from '@jest/globals';
import { WebSocket } from 'ws';
import { eventSocket } from '../src/routes/events/event-socket.ts';
import { eventsPath } from '../src/routes/events/event-stream.ts';
import type { complaintsWorld, people } from './world.ts';

type World = Awaited<ReturnType<typeof complaintsWorld>>;
type Who = typeof people.agent;

/** Serves the test world on a port, with WebSockets, and opens streams and sockets that record what they receive. */
export async function eventClients(world: World) {
  const server = createServiceServer(world.app);
  const take = eventSocket(world.flows, world.log.logger);
  server.on('upgrade', async (req, socket, head) => {
    const identity = await world.upgrade(req, socket);
    if (identity !== undefined) take(identity, req, socket, head);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;

  async function stream(who: Who, headers: Record<string, string> = {}) {
    const signed = world.sign({ method: 'GET', target: eventsPath, claims: asUser(who) });
    const sent = request({ host: '127.0.0.1', port, path: eventsPath, headers: { ...signed, ...headers } }).end();
    const [answer] = (await once(sent, 'response')) as [IncomingMessage];
    let text = '';
    answer.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    answer.on('error', () => {});
    const found = (pattern: RegExp) => [...text.matchAll(pattern)].map(([, value = '']) => value);
    const ended = once(answer, 'close');
    if (answer.statusCode === 200) await eventually(() => expect(text).toContain('retry:'));
    return {
      text: () => text,
      types: () => found(/^event: (.*)$/gm),
      ids: () => found(/^id: (.*)$/gm),
      comments: () => found(/^(:)$/gm).length,
      status: answer.statusCode ?? 0,
      ended,
      async end() {
        answer.destroy();
        await ended;
      },
    };
  }

  async function socket(who: Who, query = '') {
    const target = eventsPath + query;
    const ws = new WebSocket(`ws://127.0.0.1:${port}${target}`, {
      finishRequest(req) {
        const webSocketKey = String(req.getHeader('sec-websocket-key'));
        const signed = world.sign({ method: 'GET', target, claims: asUser(who), webSocketKey });
        for (const [name, value] of Object.entries(signed)) req.setHeader(name, value);
        req.end();
      },
    });
    const messages: { id?: string; event: { type: string; complaint_id?: string } }[] = [];
    let pings = 0;
    ws.on('message', (data) => messages.push(JSON.parse(String(data))));
    ws.on('ping', () => {
      pings += 1;
    });
    const closed = once(ws, 'close');
    await once(ws, 'open');
    return { ws, messages, types: () => messages.map(({ event }) => event.type), pings: () => pings, closed };
  }

  return {
    port,
    stream,
    socket,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
