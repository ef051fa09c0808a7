import type { IncomingMessage } from 'node:http';

// How much of an unread body is waited for, so that a client in the middle of sending it gets to read the answer.
const lingerBytes = 1024 * 1024;
const lingerMs = 2_000;

/**
 * Reads on and throws away, for a while. Closing a socket with unread bytes in it resets it, and the reset overtakes the answer
 * (RFC 9112 section 9.6).
 *
 * @param end Called once: when the body is over, the client is gone, or it was enough.
 */
export function lingerOver(request: IncomingMessage, end: () => void): void {
  let bytes = 0;
  const finish = () => {
    clearTimeout(timer);
    request.off('data', count).off('end', finish).off('close', finish);
    end();
  };
  const count = (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > lingerBytes) finish();
  };
  const timer = setTimeout(finish, lingerMs);
  request.on('data', count).once('end', finish).once('close', finish);
  request.resume();
}
