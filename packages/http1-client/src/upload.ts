import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { HttpClientError } from './http-client-error.ts';

/** The connection that an upload writes to. */
export interface UploadOwner {
  /** Called when the service stops or resumes reading. */
  uploadBlocked(isBlocked: boolean): void;
  uploadEnded(): void;
  abort(reason: unknown): void;
}

const crlf = Buffer.from('\r\n');

export type Upload = ReturnType<typeof createUpload>;

/** Sends a streamed body as fast as the service reads it: in chunks if `length` is undefined. */
export function createUpload(stream: Readable, length: number | undefined, socket: Socket, owner: UploadOwner) {
  let sent = 0;
  let isOver = false;

  function onData(chunk: Buffer): void {
    if (chunk.length === 0) return;
    sent += chunk.length;
    if (length !== undefined && sent > length) fail(wrongLength('longer'));
    else if (!(length === undefined ? writeChunk(socket, chunk) : socket.write(chunk))) {
      stream.pause();
      owner.uploadBlocked(true);
    }
  }

  function onDrain(): void {
    owner.uploadBlocked(false);
    stream.resume();
  }

  function onEnd(): void {
    if (length !== undefined && sent < length) {
      fail(wrongLength('shorter'));
      return;
    }
    if (length === undefined) socket.write('0\r\n\r\n', 'latin1');
    stop();
    owner.uploadEnded();
  }

  const onClose = (): void => fail(aborted());

  function fail(error: unknown): void {
    stop();
    owner.abort(error);
  }

  /** Stops sending. Leaves the stream unchanged. */
  function stop(): void {
    if (isOver) return;
    isOver = true;
    stream.off('data', onData).off('end', onEnd).off('error', fail).off('close', onClose).pause();
    socket.off('drain', onDrain);
  }

  return {
    /** Writes the head together with the data that the stream already has. */
    start(head: string): void {
      socket.cork();
      socket.write(head, 'latin1');
      process.nextTick(uncork, socket);
      if (stream.destroyed || stream.readableEnded) {
        fail(stream.errored ?? aborted());
        return;
      }
      stream.on('data', onData).on('end', onEnd).on('error', fail).on('close', onClose);
      socket.on('drain', onDrain);
    },
    stop,
  };
}

function writeChunk(socket: Socket, chunk: Buffer): boolean {
  socket.cork();
  socket.write(`${chunk.length.toString(16)}\r\n`, 'latin1');
  socket.write(chunk);
  const mayContinue = socket.write(crlf);
  socket.uncork();
  return mayContinue;
}

const wrongLength = (than: 'longer' | 'shorter'): HttpClientError =>
  new HttpClientError('UPSTREAM_BODY_LENGTH', `the request body is ${than} than announced`);

const aborted = (): HttpClientError => new HttpClientError('UPSTREAM_BODY_ABORTED', 'the request body ended early');

const uncork = (socket: Socket): void => socket.uncork();
