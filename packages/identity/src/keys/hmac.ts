import { hash } from 'node:crypto';

const blockBytes = 64;
const digestBytes = 32;
// A longer text gets a buffer of its own.
const usualBytes = 4 * 1024;

/**
 * HMAC-SHA-256 with one key (RFC 2104), of texts in Latin-1. Two calls of `hash` take 1.9 µs for a signature base, and
 * `createHmac` takes 3.3 µs and an object that the garbage collector must finalize.
 */
export class HmacSha256 {
  /** The key's inner pad, then the text. */
  readonly #inner = Buffer.alloc(blockBytes + usualBytes, 0x36);
  /** The key's outer pad, then the inner digest. */
  readonly #outer = Buffer.alloc(blockBytes + digestBytes, 0x5c);

  constructor(secret: Uint8Array) {
    const key = secret.byteLength > blockBytes ? hash('sha256', secret, 'buffer') : secret;
    key.forEach((byte, at) => {
      this.#inner[at] = 0x36 ^ byte;
      this.#outer[at] = 0x5c ^ byte;
    });
  }

  base64(text: string): string {
    this.#outer.write(this.#innerDigest(text), blockBytes, 'latin1');
    return hash('sha256', this.#outer, 'base64');
  }

  bytes(text: string): Buffer {
    this.#outer.write(this.#innerDigest(text), blockBytes, 'latin1');
    return hash('sha256', this.#outer, 'buffer');
  }

  /** As text, because a Buffer costs more than the digest. */
  #innerDigest(text: string): string {
    let message = this.#inner;
    if (text.length > usualBytes) {
      message = Buffer.alloc(blockBytes + text.length);
      this.#inner.copy(message, 0, 0, blockBytes);
    }
    message.write(text, blockBytes, 'latin1');
    return hash('sha256', message.subarray(0, blockBytes + text.length), 'latin1');
  }
}
