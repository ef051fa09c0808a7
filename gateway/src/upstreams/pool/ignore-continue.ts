import type { Socket } from 'node:net';

const continueStart = 'HTTP/1.1 100';
const isContinue = /^HTTP\/1\.[01] 100[ \r]/;
const headEnd = '\r\n\r\n';
// Of one request. More is no misunderstanding any more, and undici may break it off.
const most = 16;
const longestHead = 1024;

/**
 * Takes `100 Continue` that nobody asked for out of what undici reads. A client must be able to read it (RFC 9110 section 15.2),
 * undici breaks the connection off; and a service cannot know that the `Expect` it answers was the client's own, or another's.
 *
 * Only the beginning of what is read after a request is looked at: undici writes a request's head as a text, everything after it as
 * bytes or as a text that begins with CRLF.
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

  /** @returns Undefined while all there was is ignored, or is too little to say. */
  function withoutContinue(bytes: Buffer): Buffer | undefined {
    held = undefined;
    let rest = bytes;
    while (ignored < most) {
      const start = rest.toString('latin1', 0, continueStart.length + 1);
      if (!isContinue.test(start)) {
        if (start.length > continueStart.length || !isStart(start)) break;
        held = rest.length > 0 ? rest : undefined;
        return undefined;
      }
      const end = rest.indexOf(headEnd);
      if (end === -1) {
        if (rest.length > longestHead) break;
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

/** Whether this may become a status line of a 100. */
const isStart = (text: string): boolean =>
  text.startsWith('HTTP/1.0') ? 'HTTP/1.0 100'.startsWith(text) : continueStart.startsWith(text);
