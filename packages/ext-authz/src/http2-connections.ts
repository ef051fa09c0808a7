import type { Server } from 'node:http';
import { constants, createServer, type Http2Server, type ServerHttp2Session, type ServerOptions } from 'node:http2';
import type { Socket } from 'node:net';
import type { AnswerCall } from './check-call.ts';

/** The limits for one HTTP/2 connection. A connection that exceeds them is closed, and the proxy opens another. */
const bounds: ServerOptions = {
  settings: { maxConcurrentStreams: 250, maxHeaderListSize: 16 * 1024, enablePush: false },
  // A proxy cancels a call when its client disconnects. More canceled calls per second than this are a rapid reset
  // attack (CVE-2023-44487).
  streamResetBurst: 1_000,
  streamResetRate: 100,
  // The library itself refuses more than eight CONTINUATION frames (CVE-2024-28182).
  maxHeaderListPairs: 64,
  maxSessionInvalidFrames: 10,
  maxSessionRejectedStreams: 10,
};

// The timeout without a byte in either direction.
const idleMs = 5 * 60_000;
// The time that proxies which have just connected get while the listener is draining.
const firstBytesMs = 1_000;
const preface = 'PRI';

type Options = Readonly<{
  server: Server;
  /** The event that `server` emits for a connection that is ready to be read. */
  event: 'connection' | 'secureConnection';
  /** The timeout for the first bytes. */
  headMs: number;
  /** Returns what answers calls now. Called for each connection and each call. Undefined means HTTP/1.1 only. */
  answerNow(): AnswerCall | undefined;
}>;

/**
 * Serves HTTP/2 on the address of an HTTP/1.1 server. A connection that begins with the HTTP/2 preface goes to a
 * `node:http2` server (RFC 9113 section 3.4), and every other connection goes to `server`.
 */
export class Http2Connections {
  readonly #server: Server;
  readonly #serveHttp1: readonly ((socket: Socket) => void)[];
  readonly #http2: Http2Server;
  readonly #headMs: number;
  readonly #sessions = new Set<ServerHttp2Session>();
  /** The sockets of HTTP/2 sessions, and those that have not yet sent enough bytes to identify the protocol. */
  readonly #sockets = new Map<Socket, 'http2' | 'undecided'>();

  constructor({ server, event, headMs, answerNow }: Options) {
    this.#server = server;
    this.#headMs = headMs;
    this.#serveHttp1 = server.listeners(event) as ((socket: Socket) => void)[];
    this.#http2 = createServer(bounds, (call, response) => {
      const answer = answerNow();
      if (answer !== undefined) {
        void answer(call, response);
        return;
      }
      // HTTP/2 was turned off while the connection was open.
      call.stream.close(constants.NGHTTP2_REFUSED_STREAM);
      call.stream.session?.close();
    });
    this.#http2.on('session', (session) => this.#keep(session));
    server.removeAllListeners(event);
    server.on(event, (socket: Socket) => {
      if (answerNow() === undefined) this.#toHttp1(socket);
      else this.#await(socket);
    });
  }

  /** Ends each connection after its calls, or after `graceMs`. Call it when the server starts to close. */
  drain(graceMs: number): void {
    for (const session of this.#sessions) session.close();
    setTimeout(() => this.#destroy('undecided'), Math.min(firstBytesMs, graceMs)).unref();
    setTimeout(() => this.#destroy('http2'), graceMs).unref();
  }

  /** A closing session waits for its client, so this destroys the socket instead. */
  #destroy(which: 'http2' | 'undecided'): void {
    for (const [socket, state] of this.#sockets) if (state === which) socket.destroy();
  }

  #keep(session: ServerHttp2Session): void {
    this.#sessions.add(session);
    session.once('close', () => this.#sessions.delete(session));
    session.setTimeout(this.#headMs, () => session.destroy());
    session.once('remoteSettings', () => session.setTimeout(idleMs));
    if (!this.#server.listening) session.close();
  }

  #toHttp1(socket: Socket): void {
    for (const serve of this.#serveHttp1) serve.call(this.#server, socket);
  }

  /** Reads as many bytes as needed to identify the protocol, and puts them back. */
  #await(socket: Socket): void {
    const destroy = () => socket.destroy();
    const peek = () => {
      const first: Buffer | null = socket.read(preface.length);
      if (first === null) return;
      socket.off('readable', peek).off('timeout', destroy).off('end', destroy).off('error', destroy).setTimeout(0);
      socket.unshift(first);
      const isHttp2 = first.toString('latin1') === preface;
      if (isHttp2) this.#sockets.set(socket, 'http2');
      else this.#sockets.delete(socket);
      // Node resumes the socket one tick after its last `readable` listener is removed.
      process.nextTick(() => {
        if (isHttp2) this.#http2.emit('connection', socket);
        else this.#toHttp1(socket);
      });
    };
    this.#sockets.set(socket, 'undecided');
    socket.once('close', () => this.#sockets.delete(socket));
    socket.on('readable', peek).on('timeout', destroy).on('end', destroy).on('error', destroy).setTimeout(this.#headMs);
  }
}
