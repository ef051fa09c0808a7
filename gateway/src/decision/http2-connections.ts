import type { Server } from 'node:http';
import * as http2 from 'node:http2';
import type { Socket } from 'node:net';

/** The limits for one HTTP/2 connection. A connection that exceeds them is closed, and the proxy opens another. */
const bounds: http2.ServerOptions = {
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

/** Answers one call over HTTP/2, and never rejects. */
export type AnswerCall = (call: http2.Http2ServerRequest, response: http2.Http2ServerResponse) => Promise<void>;

type Options = Readonly<{
  server: Server;
  /** The event that `server` emits for a connection that is ready to be read. */
  event: 'connection' | 'secureConnection';
  headMs: number;
  /** Returns what answers calls now. Called for each connection and each call. Undefined means HTTP/1.1 only. */
  answerNow(): AnswerCall | undefined;
}>;

/**
 * Gives connections that begin with the HTTP/2 preface to `node:http2` (RFC 9113 section 3.4), and others to `server`.
 *
 * @returns A function that ends each connection after its calls, or after `graceMs`. Call it when `server` starts to
 *   close.
 */
export function joinHttp2({ server, event, headMs, answerNow }: Options): (graceMs: number) => void {
  const serveHttp1 = server.listeners(event) as ((socket: Socket) => void)[];
  const sessions = new Set<http2.ServerHttp2Session>();
  /** The sockets of HTTP/2 sessions, and those that have not yet sent enough bytes to identify the protocol. */
  const sockets = new Map<Socket, 'http2' | 'undecided'>();
  const http2Server = http2.createServer(bounds, (call, response) => {
    const answer = answerNow();
    if (answer !== undefined) {
      void answer(call, response);
      return;
    }
    // HTTP/2 was turned off while the connection was open.
    call.stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
    call.stream.session?.close();
  });
  http2Server.on('session', (session) => {
    sessions.add(session);
    session.once('close', () => sessions.delete(session));
    session.setTimeout(headMs, () => session.destroy());
    session.once('remoteSettings', () => session.setTimeout(idleMs));
    if (!server.listening) session.close();
  });

  function toHttp1(socket: Socket): void {
    for (const serve of serveHttp1) serve.call(server, socket);
  }

  /** Reads as many bytes as needed to identify the protocol, and puts them back. */
  function identify(socket: Socket): void {
    const destroy = () => socket.destroy();
    const peek = () => {
      const first: Buffer | null = socket.read(preface.length);
      if (first === null) return;
      socket.off('readable', peek).off('timeout', destroy).off('end', destroy).off('error', destroy).setTimeout(0);
      socket.unshift(first);
      const isHttp2 = first.toString('latin1') === preface;
      if (isHttp2) sockets.set(socket, 'http2');
      else sockets.delete(socket);
      // Node resumes the socket one tick after its last `readable` listener is removed.
      process.nextTick(() => {
        if (isHttp2) http2Server.emit('connection', socket);
        else toHttp1(socket);
      });
    };
    sockets.set(socket, 'undecided');
    socket.once('close', () => sockets.delete(socket));
    socket.on('readable', peek).on('timeout', destroy).on('end', destroy).on('error', destroy).setTimeout(headMs);
  }

  server.removeAllListeners(event);
  server.on(event, (socket: Socket) => {
    if (answerNow() === undefined) toHttp1(socket);
    else identify(socket);
  });
  return (graceMs) => {
    // A closing session waits for its client, so the socket is destroyed instead.
    const destroyAll = (which: 'http2' | 'undecided') => {
      for (const [socket, state] of sockets) if (state === which) socket.destroy();
    };
    for (const session of sessions) session.close();
    setTimeout(() => destroyAll('undecided'), Math.min(firstBytesMs, graceMs)).unref();
    setTimeout(() => destroyAll('http2'), graceMs).unref();
  };
}
