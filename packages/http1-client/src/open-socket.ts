import { connect, isIP, type OnReadOpts, type Socket, type TcpSocketConnectOpts } from 'node:net';
import type { Duplex } from 'node:stream';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { ExchangeError } from './exchange-error.ts';
import { TlsTransport } from './tls-transport.ts';

/** Receives a socket's events. */
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
  /**
   * Returns the identity for new connections. Connections with another identity are not reused. Undefined without TLS.
   */
  identity: (() => TlsIdentity | undefined) | undefined;
  open(user: SocketUser): Socket;
  /** Opens a connection that other code reads, for example for an upgrade. Failures arrive as `error` events. */
  openUnread(): Socket;
}>;

export type SocketOpenerOptions = Readonly<{
  /** `http:` or `https:`, host and port. */
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
      socket.destroy(new ExchangeError('UPSTREAM_CONNECT_TIMEOUT', `no connection within ${connectTimeoutMs} ms`));
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

/** Wraps the opener as undici's `connect` option. */
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
