import { STATUS_CODES } from 'node:http';
import type { Duplex, Readable } from 'node:stream';

// How much of an unread body is discarded, so that a sender that is still sending can receive the response.
const lingerBytes = 1024 * 1024;
const lingerMs = 2_000;

/** Destroys an ended socket if its peer does not read the last bytes and close its side within 2 s. */
export function destroyLater(socket: Duplex): void {
  const timer = setTimeout(() => socket.destroy(), lingerMs);
  socket.once('close', () => clearTimeout(timer));
}

/** Writes a complete response to a socket that Node's server no longer handles, and closes the socket. */
export function respondOnSocket(
  socket: Duplex,
  { status, headers, body }: Readonly<{ status: number; headers: object; body: string }>,
): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const fields = { ...headers, 'content-length': Buffer.byteLength(body), connection: 'close' };
  const head = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${head.join('')}\r\n${body}`);
  destroyLater(socket);
  socket.resume();
}

/**
 * Discards the rest of a body before the connection closes. Closing a socket with unread bytes resets it, and the reset
 * can destroy the response (RFC 9112 section 9.6).
 *
 * @param end Called once: when the body ends, the peer disconnects, or after 1 MiB or 2 s.
 */
export function discardBody(stream: Readable, end: () => void): void {
  let bytes = 0;
  const finish = () => {
    clearTimeout(timer);
    stream.off('data', count).off('end', finish).off('close', finish);
    end();
  };
  const count = (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > lingerBytes) finish();
  };
  const timer = setTimeout(finish, lingerMs);
  stream.on('data', count).once('end', finish).once('close', finish);
  stream.resume();
}
