import { randomBytes } from 'node:crypto';

const closeOpcode = 8;

/** Tracks a WebSocket's frame boundaries in one direction (RFC 6455 section 5.2). Buffers at most one frame header. */
export class FrameCursor {
  readonly #header: number[] = [];
  #payloadLeft = 0;
  #isClosed = false;

  readonly pass = (chunk: Buffer): void => {
    const header = this.#header;
    for (let at = 0; at < chunk.length; ) {
      if (this.#payloadLeft > 0) {
        const step = Math.min(this.#payloadLeft, chunk.length - at);
        this.#payloadLeft -= step;
        at += step;
        continue;
      }
      header.push(chunk[at] ?? 0);
      at += 1;
      if (header.length < headerLength(header)) continue;
      this.#payloadLeft = payloadLength(header);
      if (((header[0] ?? 0) & 0x0f) === closeOpcode) this.#isClosed = true;
      header.length = 0;
    }
  };

  /** Whether another frame can be inserted: only between two frames, and before a close frame. */
  get isBetween(): boolean {
    return this.#header.length === 0 && this.#payloadLeft === 0 && !this.#isClosed;
  }
}

/** At least two bytes, which determine the header length. */
function headerLength([, second]: readonly number[]): number {
  if (second === undefined) return 2;
  const short = second & 0x7f;
  return 2 + (short === 127 ? 8 : short === 126 ? 2 : 0) + (second & 0x80 ? 4 : 0);
}

function payloadLength(header: readonly number[]): number {
  const short = (header[1] ?? 0) & 0x7f;
  if (short < 126) return short;
  return header.slice(2, short === 126 ? 4 : 10).reduce((length, byte) => length * 256 + byte, 0);
}

/** Why a WebSocket ends (RFC 6455 section 7.4.1). */
export type CloseCode = 1001 | 1008;

/** @param reason At most 123 bytes without secrets: the other side reads it. */
export function closeFrame(side: 'server' | 'client', code: CloseCode, reason = ''): Buffer {
  const payload = Buffer.concat([Buffer.from([code >> 8, code & 0xff]), Buffer.from(reason)]);
  if (payload.length > 125) throw new RangeError('a close reason has at most 123 bytes');
  const first = 0x80 | closeOpcode;
  if (side === 'server') return Buffer.concat([Buffer.from([first, payload.length]), payload]);
  const key = randomBytes(4);
  const masked = payload.map((byte, at) => byte ^ (key[at % 4] ?? 0));
  return Buffer.concat([Buffer.from([first, 0x80 | payload.length]), key, masked]);
}
