import type { Duplex } from 'node:stream';
import { RequestLines } from './request-lines.ts';

const noBytes: Buffer = Buffer.alloc(0);

/** Node's parser of one connection. It reads the socket itself, and its callbacks run while it holds the packet. */
type Parser = {
  [callback: number]: (result: number | Error) => void;
  readonly _consumed?: boolean;
  getCurrentBuffer?(): Buffer;
};

/**
 * Checks the request lines of a connection that has just been accepted.
 *
 * The parser reads the socket in C++, and gives a copy of the packet that it reads. That costs 1 to 2 µs a request. A `data` listener would
 * make all bytes pass through JavaScript streams, which costs 5 to 7 µs. It remains for sockets that the parser cannot read itself.
 */
export function trackRequestLines(socket: Duplex, refuseLongHead: () => void): RequestLines {
  const { parser } = socket as Duplex & { parser?: Parser };
  const { kOnExecute } = (parser?.constructor ?? {}) as { kOnExecute?: number };
  if (parser?._consumed !== true || parser.getCurrentBuffer === undefined || kOnExecute === undefined) {
    return trackStream(socket, refuseLongHead);
  }
  const lines = new RequestLines(() => (parser as Required<Parser>).getCurrentBuffer(), refuseLongHead);
  const proceed = parser[kOnExecute] as Parser[number];
  parser[kOnExecute] = (result) => {
    // First, because the parser drops the packet before it reports an upgrade.
    if (typeof result === 'number') lines.chunkEnded(result);
    proceed(result);
  };
  return lines;
}

function trackStream(socket: Duplex, refuseLongHead: () => void): RequestLines {
  let chunk = noBytes;
  const lines = new RequestLines(() => chunk, refuseLongHead);
  const endChunk = () => {
    if (chunk.length > 0) lines.chunkEnded(chunk.length);
    chunk = noBytes;
  };
  // Prepended, to run before the parser's own listener, which reads the chunk.
  socket.prependListener('data', (next: Buffer) => {
    endChunk();
    chunk = next;
    queueMicrotask(endChunk);
  });
  return lines;
}
