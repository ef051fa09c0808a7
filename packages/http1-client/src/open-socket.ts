import { connect, isIP, type OnReadOpts, type Socket, type TcpSocketConnectOpts } from 'node:net';
import { Duplex } from 'node:stream';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { HttpClientError } from './http-client-error.ts';

export interface SocketUser {
  /** Called when TCP and TLS are established. */
  socketConnected(): void;
  /** The callback for the socket's `onread` option. The bytes are overwritten after the call. */
  readonly socketRead: OnReadOpts['callback'];
  /** @param isShared The bytes are overwritten after this call. */
  socketBytes(bytes: Buffer, length: number, isShared: boolean): void;
  /** @param isClean Whether the peer sent a FIN and, with TLS, `close_notify`. */
  socketEnded(isClean: boolean): void;
  socketFailed(error: Error): void;
  /** Called last. */
  socketClosed(): void;
}

/** TLS certificates and names. A connection belongs to the identity object that it was opened with. */
export type TlsIdentity = Pick<ConnectionOptions, 'ca' | 'cert' | 'key' | 'servername'>;

export type SocketOpener = Readonly<{
  /** For new connections. Those with another identity are not reused. Undefined without TLS. */
  identity: (() => TlsIdentity | undefined) | undefined;
  open(user: SocketUser): Socket;
  /** Opens a connection that other code reads, for example for an upgrade. Failures arrive as `error` events. */
  openUnread(): Socket;
}>;

export type SocketOpenerOptions = Readonly<{
  origin: string;
  /** The time limit for TCP and TLS together. */
  connectTimeoutMs: number;
  /** Returns the current identity. It may change, and then the object changes too. */
  tls?: (() => TlsIdentity | undefined) | undefined;
}>;

const readBytes = 64 * 1024;
const keepAliveProbeMs = 60_000;
// libuv reads synchronously, except on Windows, where it may hold a buffer while other connections read.
const sharedBuffer = process.platform === 'win32' ? undefined : Buffer.allocUnsafeSlow(readBytes);

/** Creates a socket opener. It always checks certificates, and no option turns that off. */
export function createSocketOpener(options: SocketOpenerOptions): SocketOpener {
  const { origin, connectTimeoutMs, tls } = options;
  const { protocol, hostname, port } = new URL(origin);
  const isSecure = protocol === 'https:';
  const host = hostname.replace(/^\[|\]$/g, '');
  const address: TcpSocketConnectOpts = { host, port: Number(port === '' ? (isSecure ? 443 : 80) : port) };
  let identity: TlsIdentity | undefined;
  let session: Buffer | undefined;

  const openPlain = (onread?: OnReadOpts): Socket =>
    connect({ ...address, ...(onread && { onread }) })
      .setNoDelay(true)
      .setKeepAlive(true, keepAliveProbeMs);

  function current(): TlsIdentity | undefined {
    const now = tls?.();
    // A TLS session was verified with the certificates that were current at that time.
    if (now !== identity) session = undefined;
    identity = now;
    return now;
  }

  function openSecure(transport: Duplex): TLSSocket {
    const used = current();
    const socket = connectTls({
      ...used,
      socket: transport,
      host,
      ...(used?.servername === undefined && isIP(host) === 0 && { servername: host }),
      ...(session && { session }),
      ALPNProtocols: ['http/1.1'],
    });
    transport.on('error', (error) => socket.destroy(error));
    return socket.on('session', (next) => {
      if (used === identity) session = next;
    });
  }

  function limitTime(socket: Socket): void {
    const timer = setTimeout(() => {
      socket.destroy(new HttpClientError('UPSTREAM_CONNECT_TIMEOUT', `no connection within ${connectTimeoutMs} ms`));
    }, connectTimeoutMs);
    const stopTimer = () => clearTimeout(timer);
    socket.once(isSecure ? 'secureConnect' : 'connect', stopTimer).once('close', stopTimer);
  }

  return {
    identity: isSecure ? current : undefined,
    open(user) {
      const socket = isSecure ? readSecure(user, openPlain, openSecure) : readPlain(user, openPlain);
      limitTime(socket);
      socket.on('error', (error) => user.socketFailed(error)).once('close', () => user.socketClosed());
      return socket;
    },
    openUnread() {
      const plain = openPlain();
      const socket = isSecure ? openSecure(plain) : plain;
      limitTime(socket);
      return socket;
    },
  };
}

export const undiciConnector =
  (opener: SocketOpener) =>
  (_options: unknown, connected: (...result: [null, Socket] | [Error, null]) => void): void => {
    const socket = opener.openUnread();
    socket
      .once('encrypted' in socket ? 'secureConnect' : 'connect', () => connected(null, socket))
      .once('error', (error) => connected(error, null));
  };

type OpenPlain = (onread: OnReadOpts) => Socket;

function readPlain(user: SocketUser, openPlain: OpenPlain): Socket {
  const buffer = sharedBuffer ?? Buffer.allocUnsafeSlow(readBytes);
  const socket = openPlain({ buffer, callback: user.socketRead });
  return socket.once('connect', () => user.socketConnected()).once('end', () => user.socketEnded(true));
}

function readSecure(user: SocketUser, openPlain: OpenPlain, openSecure: (transport: Duplex) => TLSSocket): Socket {
  const transport = new TlsTransport(openPlain);
  const socket = openSecure(transport);
  transport.clearBytes = () => socket.bytesRead;
  return socket
    .on('data', (chunk: Buffer) => user.socketBytes(chunk, chunk.length, false))
    .once('secureConnect', () => user.socketConnected())
    .once('end', () => user.socketEnded(transport.endedCleanly()));
}

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
class TlsTransport extends Duplex {
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
