import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { RecordedRequest } from '@countersign/testing';

/** Starts a service that responds to event requests with an endless stream. */
export function answerWithEvents(request: RecordedRequest, res: ServerResponse): void {
  if (!request.target.startsWith('/recorded/events')) {
    res.setHeader('content-type', 'application/json').end('{}');
    return;
  }
  res.writeHead(200, { 'content-type': 'text/event-stream' });
  res.write('data: hello\n\n');
}

/** Starts a service that accepts every WebSocket and sends nothing. */
export function acceptSocket(request: RecordedRequest, socket: Duplex): void {
  const accept = createHash('sha1')
    .update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    .digest('base64');
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
}

function watched(connection: IncomingMessage | Duplex) {
  let isOpen = true;
  /** When the connection ended, on the clock of `performance.now()`. */
  const ended = new Promise<number>((resolve) => {
    connection.once('close', () => {
      isOpen = false;
      resolve(performance.now());
    });
  });
  connection.on('error', () => {}).resume();
  return { ended, isOpen: () => isOpen, close: () => connection.destroy() };
}

/** Opens an event stream, and waits for the response. @throws Error on any status except 200. */
export async function openStream(gateway: string, token: string) {
  const asked = httpRequest(`${gateway}/recorded/events`, { headers: { authorization: `Bearer ${token}` } }).end();
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  if (response.statusCode !== 200) throw new Error(`the event stream was answered with ${response.statusCode}`);
  return watched(response);
}

/** Opens a WebSocket, and waits for the 101. */
export async function openSocket(gateway: string, token: string) {
  const headers = {
    authorization: `Bearer ${token}`,
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
  };
  const asked = httpRequest(`${gateway}/recorded/socket`, { headers }).end();
  const [, socket] = (await once(asked, 'upgrade')) as [IncomingMessage, Duplex];
  return watched(socket);
}
