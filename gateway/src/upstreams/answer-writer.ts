import type { ServerResponse } from 'node:http';

/**
 * Writes an answer's body at the client's pace. A client that takes nothing for `idleMs` is cut off: while it does not read, the service is
 * not read either, and both would be held for ever. Progress is seen when what is buffered, about 128 KiB at most, becomes less.
 */
export class AnswerWriter {
  readonly #response: ServerResponse;
  readonly #idleMs: number;
  #timer: NodeJS.Timeout | undefined;
  #left = 0;

  constructor(response: ServerResponse, idleMs: number) {
    this.#response = response;
    this.#idleMs = idleMs;
  }

  /** @param onDrain Called when more may be written, if that is not at once. @returns Whether it is at once. */
  write(chunk: Buffer, onDrain: () => void): boolean {
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
    clearInterval(this.#timer);
    this.#timer = undefined;
  };

  #watch(): void {
    this.#left = Number.POSITIVE_INFINITY;
    this.#timer ??= setInterval(() => {
      // It waits for the answers to requests that were sent before it on the same connection.
      if (this.#response.socket === null) return;
      const left = this.#response.writableLength;
      if (left < this.#left) this.#left = left;
      else this.#response.destroy();
    }, this.#idleMs);
  }
}
