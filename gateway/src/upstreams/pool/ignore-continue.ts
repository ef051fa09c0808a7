import type { Socket } from 'node:net';

const continueStart = 'HTTP/1.1 100';
const isContinue = /^HTTP\/1\.[01] 100[ \r]/;
const headEnd = '\r\n\r\n';
// Per request. After more of them undici may close the connection.
const maxIgnored = 16;
const maxHeadBytes = 1024;

/**
 * Hides an unrequested `100 Continue` from undici. Clients must accept it (RFC 9110 section 15.2), but undici closes
 * the connection. A service cannot tell whether the `Expect` that it saw came from this hop.
 *
 * Only the bytes that follow a request's head are examined. undici writes the head as a string; it writes everything
 * else as bytes, or as a string that starts with CRLF.
 */
export function ignoreContinue(socket: Socket): void {
  const write = socket.write;
  const read = socket.read;
  let isBeginning = false;
  let ignored = 0;
  let held: Buffer | undefined;

  socket.write = function (this: Socket, ...given: Parameters<Socket['write']>) {
    const [chunk] = given;
    if (typeof chunk === 'string' && chunk.charCodeAt(0) !== 13) {
      isBeginning = true;
      ignored = 0;
    }
    return write.apply(this, given);
  } as Socket['write'];

  socket.read = function (this: Socket, size?: number) {
    for (;;) {
      const chunk: Buffer | null = read.call(this, size);
      if (!isBeginning || chunk === null) return chunk;
      const rest = withoutContinue(held === undefined ? chunk : Buffer.concat([held, chunk]));
      if (rest !== undefined) return rest;
    }
  };

  /** @returns Undefined if all bytes are ignored, or if there are too few to decide. */
  function withoutContinue(bytes: Buffer): Buffer | undefined {
    held = undefined;
    let rest = bytes;
    while (ignored < maxIgnored) {
      const start = rest.toString('latin1', 0, continueStart.length + 1);
      if (!isContinue.test(start)) {
        if (start.length > continueStart.length || !mayBecomeContinue(start)) break;
        held = rest.length > 0 ? rest : undefined;
        return undefined;
      }
      const end = rest.indexOf(headEnd);
      if (end === -1) {
        if (rest.length > maxHeadBytes) break;
        held = rest;
        return undefined;
      }
      ignored += 1;
      rest = rest.subarray(end + headEnd.length);
    }
    isBeginning = false;
    return rest;
  }
}

/** Whether the text may be the start of a 100's status line. */
const mayBecomeContinue = (text: string): boolean =>
  text.startsWith('HTTP/1.0') ? 'HTTP/1.0 100'.startsWith(text) : continueStart.startsWith(text);
