import type { ServerResponse } from 'node:http';
import type { Upstream } from '../../config/config.ts';
import { downloadRate, type RateWatch, watchRate } from '../../limits/min-rate.ts';

/**
 * Writes an answer's body at the client's pace. A client that reads more slowly than the least rate is cut off: while it does not read, the
 * service is not read either, and both would be held for ever. The rate counts while bytes wait for the client, not while the service has
 * nothing to say. Progress is seen when what is buffered, about 128 KiB at most, becomes less.
 */
export class AnswerWriter {
  readonly #response: ServerResponse;
  readonly #limits: Upstream;
  #watching: RateWatch | undefined;
  #written = 0;

  constructor(response: ServerResponse, limits: Upstream) {
    this.#response = response;
    this.#limits = limits;
  }

  /** @param onDrain Called when more may be written, if that is not at once. @returns Whether it is at once. */
  write(chunk: Buffer, onDrain: () => void): boolean {
    this.#written += chunk.length;
    if (this.#response.write(chunk)) return true;
    this.#watch();
    this.#response.once('drain', () => {
      this.stop();
      onDrain();
    });
    return false;
  }

  /** The last bytes have their time too. */
  end(): void {
    this.#response.end();
    if (this.#response.writableLength === 0 || this.#response.destroyed) return;
    this.#watch();
    this.#response.once('finish', this.stop).once('close', this.stop);
  }

  readonly stop = (): void => {
    this.#watching?.stop();
    this.#watching = undefined;
  };

  #watch(): void {
    const response = this.#response;
    // Without a socket it waits for the answers to requests that were sent before it on the same connection.
    const taken = () => (response.socket === null ? undefined : this.#written - response.writableLength);
    this.#watching ??= watchRate(downloadRate(this.#limits), taken, () => response.destroy());
  }
}
