import type { ServerResponse } from 'node:http';
import type { Upstream } from '../../config/config.ts';
import { downloadRate, type RateWatch, watchRate } from '../../limits/min-rate.ts';

/**
 * Writes a long response's body at the client's pace, and disconnects a client that reads more slowly than the minimum
 * rate. While it does not read, the service is not read either, so both connections would be held. The rate counts only
 * while bytes wait for the client. Progress shows when the buffer, at most about 128 KiB, shrinks.
 */
export class ResponseWriter {
  readonly #response: ServerResponse;
  readonly #limits: Upstream;
  readonly #onDrain: () => void;
  #watching: RateWatch | undefined;
  #written = 0;

  /** @param onDrain Called when more may be written, after `write` returned false. */
  constructor(response: ServerResponse, limits: Upstream, onDrain: () => void) {
    this.#response = response;
    this.#limits = limits;
    this.#onDrain = onDrain;
  }

  /** @returns Whether more may be written at once. */
  write(chunk: Buffer): boolean {
    this.#written += chunk.length;
    if (this.#response.write(chunk)) return true;
    this.#watch();
    this.#response.once('drain', () => {
      this.stop();
      this.#onDrain();
    });
    return false;
  }

  /** Watches the last bytes too, after the response has ended. */
  watchEnd(): void {
    this.#watch();
    this.#response.once('finish', this.stop).once('close', this.stop);
  }

  readonly stop = (): void => {
    this.#watching?.stop();
    this.#watching = undefined;
  };

  #watch(): void {
    const response = this.#response;
    // Without a socket, the response waits for earlier ones on the same connection (pipelining).
    const taken = () => (response.socket === null ? undefined : this.#written - response.writableLength);
    this.#watching ??= watchRate(downloadRate(this.#limits), taken, () => response.destroy());
  }
}
