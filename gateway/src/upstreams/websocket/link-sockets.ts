import type { Socket } from 'node:net';
import { type CloseCode, closeFrame, destroyLater, FrameCursor } from '@countersign/process-kit';
import type { AppError } from '../../errors.ts';
import { watchRate } from '../../limits/min-rate.ts';
import type { EndConnection } from '../pool/long-lived-connections.ts';

/**
 * Links the two sockets of an open WebSocket, so that one ends when the other does: a WebSocket is never half-open. A
 * peer that stops reading is disconnected within `idleMs` to twice as long. Otherwise the gateway would not read the
 * other side either, and would not notice its end. Progress becomes visible in steps of 64 KiB.
 *
 * @returns A function that ends the WebSocket from the gateway's side. Each side gets a close frame if it is between
 *   two frames. Inside a frame the peer would read it as payload, so the socket is destroyed.
 */
export function linkSockets(client: Socket, service: Socket, idleMs: number): EndConnection {
  const down = new FrameCursor();
  const up = new FrameCursor();
  let isEnding = false;
  // Runs after http-proxy-middleware has connected its pipes. Otherwise the first bytes would reach only these
  // listeners.
  process.nextTick(() => {
    service.on('data', down.pass);
    client.on('data', up.pass);
  });
  client.once('end', () => service.destroySoon());
  service.once('end', () => {
    if (!isEnding) client.destroySoon();
  });
  client.once('close', () => service.destroy());
  for (const socket of [client, service]) {
    const taken = () => (socket.writableLength === 0 ? undefined : socket.bytesWritten - socket.writableLength);
    const watch = watchRate({ bytesPerSec: 0, windowMs: idleMs }, taken, () => client.destroy());
    client.once('close', watch.stop);
  }
  service.once('close', () => {
    if (!isEnding) client.destroy();
  });

  return (reason) => {
    if (isEnding) return;
    isEnding = true;
    service.unpipe(client);
    client.unpipe(service);
    service.off('data', down.pass).resume();
    client.off('data', up.pass).resume();
    const [code, text] = closeReason(reason);
    closeSocket(client, down, closeFrame('server', code, text));
    closeSocket(service, up, closeFrame('client', code));
  };
}

/** RFC 6455 section 7.4.1: 1008 is a policy violation, 1001 means that the server is going away. */
const closeReason = (reason: AppError | undefined): [CloseCode, string] =>
  reason === undefined ? [1001, ''] : [1008, reason.code];

function closeSocket(socket: Socket, { isBetween }: FrameCursor, frame: Buffer): void {
  if (!isBetween || !socket.writable) {
    socket.destroy();
    return;
  }
  socket.end(frame);
  destroyLater(socket);
}
