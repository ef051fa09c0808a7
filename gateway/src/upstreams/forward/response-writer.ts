import type { ServerResponse } from 'node:http';
import type { DispatchController } from '@countersign/http1-client';
import type { Upstream } from '../../config/config.ts';
import { downloadRate, type RateWatch, watchRate } from '../../limits/min-rate.ts';
import type { StalledResponses } from '../pool/open-connections.ts';

/**
 * Writes a long response's body at the client's pace, and disconnects a client that reads more slowly than the minimum
 * rate. While it does not read, the service is not read either, so both connections would be held. The rate counts only
 * while bytes wait for the client. Progress shows when the buffer, at most about 128 KiB, shrinks.
 */
export class ResponseWriter {
  readonly #response: ServerResponse;
  readonly #limits: Upstream;
  readonly #stalled: StalledResponses;
  readonly #controller: DispatchController;
  #watching: RateWatch | undefined;
  #written = 0;
  /** The connection to the service is no longer held. */
  releaseService: () => void = () => {};

  constructor(response: ServerResponse, limits: Upstream, stalled: StalledResponses, controller: DispatchController) {
    this.#response = response;
    this.#limits = limits;
    this.#stalled = stalled;
    this.#controller = controller;
  }

  write(chunk: Buffer): void {
    const response = this.#response;
    this.#written += chunk.length;
    if (response.write(chunk)) return;
    this.#controller.pause();
    this.releaseService = this.#stalled.add(() => response.destroy());
    this.#watch();
    response.once('drain', () => {
      this.stop();
      this.releaseService();
      this.#controller.resume();
    });
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

// Above this, copying the body costs more than a second buffer in the same system call.
const maxJoinedBytes = 16 * 1024;

/** Node joins the head and a Latin-1 string to one string. It writes a Buffer separately, which costs 7 µs more. */
export function endWith(response: ServerResponse, body: Buffer | undefined): void {
  if (body === undefined || body.length > maxJoinedBytes) response.end(body);
  else response.end(body.toString('latin1'), 'latin1');
}

/** Ends the response between two events, and closes the connection so that the client reconnects. */
export function endAndClose(response: ServerResponse): void {
  const { socket } = response;
  response.end(() => socket?.destroySoon());
}

/**
 * Closes the connection in the middle of the response. For HTTP/1.0 the end of the connection ends the body, so only a
 * reset shows that it is truncated (RFC 9112 section 8).
 */
export function breakOff(response: ServerResponse): void {
  const { req, socket } = response;
  if (req.httpVersion === '1.0' && socket !== null && !('encrypted' in socket)) socket.resetAndDestroy();
  response.destroy();
}
