import type { OnReadOpts, Socket } from 'node:net';
import { Duplex } from 'node:stream';

const readBytes = 64 * 1024;
const headerBytes = 5;
const alertType = 21;
/** The length of an encrypted TLS 1.3 alert: two bytes, a type, and a tag of 16 or 8 bytes. */
const alertLengths: readonly number[] = [19, 11];

type Callback = (error?: Error | null) => void;

/**
 * Carries the records of one TLS connection, and detects whether the last one was an alert. Node reports the end of
 * TCP and `close_notify` in the same way, but only `close_notify` proves that a body is complete (RFC 8446 section
 * 6.1). Any other alert is reported as an error.
 */
export class TlsTransport extends Duplex {
  /** Returns how many bytes have been decrypted so far. */
  clearBytes: () => number = () => 0;
  readonly #socket: Socket;
  readonly #header = Buffer.alloc(headerBytes);
  #headerFilled = 0;
  /** How many bytes of the current record have not arrived yet. */
  #recordLeft = 0;
  #lastType = 0;
  #lastLength = 0;
  #clearBytesBefore = 0;

  constructor(open: (onread: OnReadOpts) => Socket) {
    super();
    this.#socket = open({
      buffer: Buffer.allocUnsafeSlow(readBytes),
      callback: (length, bytes) => {
        this.#receive(Buffer.from(bytes.subarray(0, length)));
        return true;
      },
    });
    this.#socket
      .once('end', () => this.push(null))
      .once('error', (error) => this.destroy(error))
      .once('close', () => {
        // After a FIN, TLS may still have buffered data to read.
        if (!this.#socket.readableEnded) this.destroy();
      });
    // Runs before TLS reads the chunk.
    this.on('data', () => {
      this.#clearBytesBefore = this.clearBytes();
    });
  }

  /** Whether the last record was whole, carried no data, and can only have been an alert. */
  endedCleanly(): boolean {
    if (this.#recordLeft > 0 || this.#headerFilled > 0) return false;
    if (this.#lastType === alertType) return true;
    return alertLengths.includes(this.#lastLength) && this.clearBytes() === this.#clearBytesBefore;
  }

  /** Passes on what may be an alert as a separate chunk, so that `clearBytesBefore` describes only that chunk. */
  #receive(chunk: Buffer): void {
    const lastStart = this.#findRecords(chunk);
    if (lastStart > 0 && alertLengths.includes(this.#lastLength)) {
      this.#pass(chunk.subarray(0, lastStart));
      this.#pass(chunk.subarray(lastStart));
    } else this.#pass(chunk);
  }

  #pass(chunk: Buffer): void {
    if (!this.push(chunk)) this.#socket.pause();
  }

  /** @returns Where the last record starts, or 0 if it started before this chunk. */
  #findRecords(chunk: Buffer): number {
    let at = 0;
    let lastStart = 0;
    while (at < chunk.length) {
      if (this.#recordLeft > 0) {
        const size = Math.min(this.#recordLeft, chunk.length - at);
        this.#recordLeft -= size;
        at += size;
        continue;
      }
      if (this.#headerFilled === 0) lastStart = at;
      const size = Math.min(headerBytes - this.#headerFilled, chunk.length - at);
      chunk.copy(this.#header, this.#headerFilled, at, at + size);
      this.#headerFilled += size;
      at += size;
      if (this.#headerFilled < headerBytes) break;
      this.#headerFilled = 0;
      this.#lastType = this.#header[0] ?? 0;
      this.#lastLength = this.#header.readUInt16BE(3);
      this.#recordLeft = this.#lastLength;
    }
    return lastStart;
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Callback): void {
    this.#socket.write(chunk, done);
  }

  override _final(done: Callback): void {
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: Callback): void {
    this.#socket.destroy();
    done(error);
  }
}
