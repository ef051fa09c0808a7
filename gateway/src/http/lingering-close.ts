import type { Duplex, Readable } from 'node:stream';

// Bounds of the unread body that is read, so that a client that is still sending can read the response.
const lingerBytes = 1024 * 1024;
const lingerMs = 2_000;

/** Frees an ended socket whose peer does not read the last bytes and close its side within 2 s. */
export function destroyLater(socket: Duplex): void {
  const timer = setTimeout(() => socket.destroy(), lingerMs);
  socket.once('close', () => clearTimeout(timer));
}

/**
 * Reads and discards the rest of a body before the connection closes. Closing a socket with unread bytes resets it, and
 * the reset can destroy the response (RFC 9112 section 9.6).
 *
 * @param end Called once: at the end of the body, when the client disconnects, after 1 MiB or after 2 s.
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
