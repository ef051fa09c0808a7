import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { ExchangeError } from './exchange-error.ts';

/** The connection that an upload writes to. */
export interface UploadOwner {
  /** Called when the service stops or resumes reading. */
  uploadBlocked(isBlocked: boolean): void;
  uploadEnded(): void;
  abort(reason: unknown): void;
}

const crlf = Buffer.from('\r\n');

/** Sends a streamed body as fast as the service reads it. */
export class Upload {
  readonly #stream: Readable;
  readonly #socket: Socket;
  readonly #length: number | undefined;
  readonly #owner: UploadOwner;
  #sent = 0;
  #isOver = false;

  constructor(stream: Readable, length: number | undefined, socket: Socket, owner: UploadOwner) {
    this.#stream = stream;
    this.#length = length;
    this.#socket = socket;
    this.#owner = owner;
  }

  /** Writes the head together with the data that the stream already has. */
  start(head: string): void {
    const stream = this.#stream;
    this.#socket.cork();
    this.#socket.write(head, 'latin1');
    process.nextTick(uncork, this.#socket);
    if (stream.destroyed || stream.readableEnded) {
      this.#fail(stream.errored ?? aborted());
      return;
    }
    stream.on('data', this.#onData).on('end', this.#onEnd).on('error', this.#onError).on('close', this.#onClose);
    this.#socket.on('drain', this.#onDrain);
  }

  /** Stops sending. Leaves the stream unchanged. */
  stop(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#stream
      .off('data', this.#onData)
      .off('end', this.#onEnd)
      .off('error', this.#onError)
      .off('close', this.#onClose)
      .pause();
    this.#socket.off('drain', this.#onDrain);
  }

  readonly #onData = (chunk: Buffer): void => {
    if (chunk.length === 0) return;
    this.#sent += chunk.length;
    if (this.#length !== undefined && this.#sent > this.#length) {
      this.#fail(new ExchangeError('UPSTREAM_BODY_LENGTH', 'the request body is longer than announced'));
      return;
    }
    if (this.#length === undefined ? this.#writeChunk(chunk) : this.#socket.write(chunk)) return;
    this.#stream.pause();
    this.#owner.uploadBlocked(true);
  };

  #writeChunk(chunk: Buffer): boolean {
    const socket = this.#socket;
    socket.cork();
    socket.write(`${chunk.length.toString(16)}\r\n`, 'latin1');
    socket.write(chunk);
    const mayContinue = socket.write(crlf);
    socket.uncork();
    return mayContinue;
  }

  readonly #onDrain = (): void => {
    this.#owner.uploadBlocked(false);
    this.#stream.resume();
  };

  readonly #onEnd = (): void => {
    if (this.#length === undefined) this.#socket.write('0\r\n\r\n', 'latin1');
    else if (this.#sent < this.#length) {
      this.#fail(new ExchangeError('UPSTREAM_BODY_LENGTH', 'the request body is shorter than announced'));
      return;
    }
    this.stop();
    this.#owner.uploadEnded();
  };

  readonly #onError = (error: unknown): void => this.#fail(error);

  readonly #onClose = (): void => this.#fail(aborted());

  #fail(error: unknown): void {
    this.stop();
    this.#owner.abort(error);
  }
}

const aborted = (): ExchangeError => new ExchangeError('UPSTREAM_BODY_ABORTED', 'the request body ended early');

function uncork(socket: Socket): void {
  socket.uncork();
}
