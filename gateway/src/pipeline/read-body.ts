import { addressKey } from '@countersign/process-kit';
import { AppError } from '../errors.ts';
import type { HeldBody } from '../limits/body-memory.ts';
import { type MinRate, watchRate, wholeBodyRate } from '../limits/min-rate.ts';
import { type BodyStream, hasContent, type Matched, refusalOfSize } from './exchange.ts';

// The time limit for a body that arrives steadily but never ends.
const wholeBodyMs = 30_000;

const minGrownBytes = 16 * 1024;
const nothing: Buffer = Buffer.alloc(0);

class GrowingBody {
  readonly #held: Pick<HeldBody, 'grow'>;
  readonly #maxBytes: number;
  #memory = nothing;
  #isOwn = false;
  bytes = 0;

  constructor(held: Pick<HeldBody, 'grow'>, maxBytes: number) {
    this.#held = held;
    this.#maxBytes = maxBytes;
  }

  /** @throws AppError `payload_too_large`, and the errors of `held`. */
  add(chunk: Buffer): void {
    const bytes = this.bytes + chunk.length;
    const tooLarge = refusalOfSize(bytes, this.#maxBytes);
    if (tooLarge !== undefined) throw tooLarge;
    if (this.bytes === 0) {
      // Most bodies arrive as one chunk, so this does not copy it.
      this.#held.grow(bytes);
      this.#memory = chunk;
    } else {
      if (bytes > this.#memory.length) this.#grow(bytes);
      chunk.copy(this.#memory, this.bytes);
    }
    this.bytes = bytes;
  }

  #grow(neededBytes: number): void {
    const memory = this.#memory;
    const size = Math.min(this.#maxBytes, Math.max(neededBytes, 2 * memory.length, minGrownBytes));
    this.#held.grow(size - memory.length);
    if (this.#isOwn) {
      // Frees the old memory immediately, because garbage collection would run too late.
      this.#memory = Buffer.from((memory.buffer as ArrayBuffer).transfer(size));
    } else {
      this.#memory = Buffer.from(new ArrayBuffer(size));
      memory.copy(this.#memory);
      this.#isOwn = true;
    }
  }

  whole(): Buffer {
    return this.bytes === this.#memory.length ? this.#memory : this.#memory.subarray(0, this.bytes);
  }
}

/**
 * Reads a whole body into memory, but never more than `maxBytes`.
 *
 * @param held Counts the memory. It is released here if the body is refused, and otherwise when the response closes.
 * @throws AppError `payload_too_large` as soon as the body exceeds `maxBytes`. `request_timeout` after 30 s, or if the
 *   body arrives more slowly than `rate`. `invalid_request` if the client disconnects or its chunks are malformed.
 *   `rate_limited` or `body_memory_full` if there is no memory for the rest.
 */
export function readBody(
  stream: BodyStream,
  { maxBytes, rate, held }: Readonly<{ maxBytes: number; rate: MinRate; held: Pick<HeldBody, 'grow' | 'release'> }>,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const body = new GrowingBody(held, maxBytes);
    const onTooSlow = () => refuse(new AppError('request_timeout'));

    function onData(chunk: Buffer): void {
      try {
        body.add(chunk);
      } catch (refusal) {
        refuse(refusal);
      }
    }
    const onEnd = () => settle(() => resolve(body.whole()));
    const onBroken = () => refuse(new AppError('invalid_request', { detail: { reason: 'the body is incomplete' } }));
    const refuse = (refusal: unknown) =>
      settle(() => {
        held.release();
        reject(refusal);
      });
    const timer = setTimeout(onTooSlow, wholeBodyMs);
    const watch = watchRate(rate, () => body.bytes, onTooSlow);
    // The client has already disconnected, so no further event will come.
    if (stream.destroyed) {
      onBroken();
      return;
    }

    function settle(how: () => void): void {
      clearTimeout(timer);
      watch.stop();
      stream.off('data', onData).off('end', onEnd).off('close', onBroken);
      // Pauses the request, because the response decides what happens to the rest of the body.
      stream.pause();
      how();
    }
    stream.on('data', onData).once('end', onEnd).once('error', onBroken).once('close', onBroken);
  });
}

/**
 * Applies the route's body mode: buffers the body, leaves it to be streamed, or refuses it.
 *
 * @returns A promise only if bytes must be read. Undefined if there is no body.
 * @throws AppError `body_not_allowed`, `payload_too_large`, `unsupported_media_type`. Also rejects with
 *   `request_timeout`, `invalid_request`, `rate_limited` and `body_memory_full`.
 */
export function takeContent(matched: Matched): Buffer | 'stream' | undefined | Promise<Buffer> {
  const { route, method, body, stream } = matched;
  if (!body.present) return undefined;
  if (route.body.mode === 'none' || !hasContent(method)) throw new AppError('body_not_allowed');
  const tooLarge = refusalOfSize(body.length ?? 0, route.body.maxBytes);
  if (tooLarge !== undefined) throw tooLarge;
  if (route.body.mode === 'stream') return 'stream';
  // A decoder would see other bytes than the signed ones, and possibly many more.
  if (body.encoding !== undefined) {
    throw new AppError('unsupported_media_type', { detail: { reason: 'content-encoding' } });
  }
  matched.acceptBody();
  const held = matched.holdBody(addressKey(matched.client.address));
  matched.record.heldBody = held;
  return readBody(stream, {
    maxBytes: body.length ?? route.body.maxBytes,
    rate: wholeBodyRate(route.upstream),
    held,
  });
}
