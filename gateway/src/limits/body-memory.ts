import type { GatewayConfig } from '../config/config.ts';
import { AppError } from '../errors.ts';

/** How many bytes of request bodies one process may hold, in total and for one client address. */
export type BodyLimits = Readonly<{ bytes: number; bytesPerAddress: number }>;

// The share of the machine's or container's memory. The rest is for the runtime, connections, tokens and the kernel's
// buffers.
const defaultShare = 1 / 8;
const defaultShareOfAddress = 1 / 4;

/** @param memoryBytes The memory available to this process on the machine or in the container. */
export function bodyLimits(
  { uploads, routes }: Pick<GatewayConfig, 'uploads' | 'routes'>,
  memoryBytes: number,
): BodyLimits {
  // The limits must leave room for any body that a route allows.
  const largest = routes.reduce((max, { body }) => (body.mode === 'digest' ? Math.max(max, body.maxBytes) : max), 0);
  const bytes = Math.max(largest, uploads.maxBuffered ?? Math.floor(memoryBytes * defaultShare));
  return {
    bytes,
    bytesPerAddress: Math.max(largest, uploads.maxBufferedPerAddress ?? Math.floor(bytes * defaultShareOfAddress)),
  };
}

/** Counts the request bodies that this process holds, from a body's first byte until its response ends. */
export class BodyMemory {
  #bytes = 0;
  readonly #byAddress = new Map<string, number>();

  get bytes(): number {
    return this.#bytes;
  }

  /** @throws AppError `rate_limited` if the address holds too much, `body_memory_full` if all together do. */
  take(address: string, bytes: number, limits: BodyLimits): void {
    const ofAddress = (this.#byAddress.get(address) ?? 0) + bytes;
    if (ofAddress > limits.bytesPerAddress) {
      throw new AppError('rate_limited', {
        headers: { 'retry-after': '1' },
        detail: { reason: 'bodies of one address', maxBytes: limits.bytesPerAddress },
      });
    }
    if (this.#bytes + bytes > limits.bytes) {
      throw new AppError('body_memory_full', { detail: { maxBytes: limits.bytes } });
    }
    this.#bytes += bytes;
    this.#byAddress.set(address, ofAddress);
  }

  release(address: string, bytes: number): void {
    this.#bytes -= bytes;
    const left = (this.#byAddress.get(address) ?? 0) - bytes;
    if (left === 0) this.#byAddress.delete(address);
    else this.#byAddress.set(address, left);
  }
}

/** What one request's body takes from {@link BodyMemory}. */
export class HeldBody {
  readonly #memory: BodyMemory;
  readonly #limits: BodyLimits;
  readonly #address: string;
  #bytes = 0;
  #isReleased = false;

  constructor(memory: BodyMemory, limits: BodyLimits, address: string) {
    this.#memory = memory;
    this.#limits = limits;
    this.#address = address;
  }

  /** Call it before allocating the memory. Throws `rate_limited` or `body_memory_full`. */
  grow(bytes: number): void {
    // The response has ended, so nothing would ever release these bytes.
    if (this.#isReleased) return;
    this.#memory.take(this.#address, bytes, this.#limits);
    this.#bytes += bytes;
  }

  /** Calling it again has no effect. */
  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    if (this.#bytes > 0) this.#memory.release(this.#address, this.#bytes);
  }
}
