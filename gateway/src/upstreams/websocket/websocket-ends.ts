import type { Socket } from 'node:net';
import type { AppError } from '../../errors.ts';
import type { EndConnection } from '../pool/open-connections.ts';
import { type CloseCode, closeFrame, createFrameCursor, type FrameCursor } from './websocket-frames.ts';

// For a peer to read what was said last and to close its side.
const lingerMs = 2_000;

/**
 * Ties both ends of an open WebSocket together: either side's end is the other's, whether it said so or just went. A WebSocket has no
 * half-open state, and a peer that keeps its half open would keep ours. So would one that takes nothing of what is there for it: meanwhile the
 * other is not read, and if it goes nobody sees it. After `idleMs` of that, or up to twice as long, both end. Progress is seen by pieces of 64 KiB.
 *
 * @returns Ends it from here. Nothing is relayed from that moment on; each side gets a close frame where it is between two frames,
 * and otherwise the end of the connection, since anything put into a frame would be read as part of it.
 */
export function tieEnds(client: Socket, service: Socket, idleMs: number): EndConnection {
  const down = createFrameCursor();
  const up = createFrameCursor();
  let isEnding = false;
  // Only once http-proxy-middleware has tied its pipes, or the first bytes would come to us alone.
  process.nextTick(() => {
    service.on('data', down.pass);
    client.on('data', up.pass);
  });
  client.once('end', () => service.destroySoon());
  service.once('end', () => {
    if (!isEnding) client.destroySoon();
  });
  client.once('close', () => service.destroy());
  const takes = [progressOf(client), progressOf(service)];
  const watch = setInterval(() => {
    if (takes.some((isStuck) => isStuck())) client.destroy();
  }, idleMs);
  client.once('close', () => clearInterval(watch));
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
    const [code, text] = closingOf(reason);
    part(client, down, closeFrame('server', code, text));
    part(service, up, closeFrame('client', code));
  };
}

/** @returns Whether there was something for it, and none of it was taken since the last look. */
function progressOf(socket: Socket): () => boolean {
  let before = '';
  return () => {
    const { writableLength, bytesWritten = 0 } = socket;
    const now = `${writableLength} ${bytesWritten}`;
    const isStuck = writableLength > 0 && now === before;
    before = now;
    return isStuck;
  };
}

/** RFC 6455 section 7.4.1: 1008 is a policy, 1001 is a server that goes away. */
const closingOf = (reason: AppError | undefined): [CloseCode, string] =>
  reason === undefined ? [1001, ''] : [1008, reason.code];

function part(socket: Socket, { isBetween }: FrameCursor, frame: Buffer): void {
  if (!isBetween || !socket.writable) {
    socket.destroy();
    return;
  }
  socket.end(frame);
  const timer = setTimeout(() => socket.destroy(), lingerMs);
  socket.once('close', () => clearTimeout(timer));
}
