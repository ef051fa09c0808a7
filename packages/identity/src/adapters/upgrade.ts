import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Identity, IdentityKind } from '../contract/identity.ts';
import type { Verifier } from '../verify/verify.ts';
import { requestIdOf, stripIdentityHeaders } from './node-request.ts';
import { type ProblemResponse, problemForError, problemResponse } from './problem.ts';
import { allowKinds, rememberIdentity } from './verified.ts';

export type VerifyUpgradeOptions = Readonly<{
  verifier: Verifier;
  /** Allowed kinds of caller. Default: users only. */
  kinds?: readonly IdentityKind[];
  onRefused?: (req: IncomingMessage, refusal: { reason: string }) => void;
}>;

/**
 * Verifies requests of a server's `upgrade` event, which middleware never sees. Call it first for every WebSocket.
 *
 * @returns The identity; undefined when the request was refused, answered and its socket closed. Other errors close the
 *   socket and reject.
 */
export function verifyUpgrade(
  options: VerifyUpgradeOptions,
): (req: IncomingMessage, socket: Duplex) => Promise<Identity | undefined> {
  const { verifier, kinds = ['user'], onRefused } = options;
  return async (req, socket) => {
    // Node removes its own listener when it hands over the socket. Without one, a reset would end the process.
    socket.on('error', () => socket.destroy());
    const target = req.url ?? '';
    try {
      const head = await verifier.verifyHead({ method: req.method ?? '', target, rawHeaders: req.rawHeaders });
      rememberIdentity(req, await head.complete());
    } catch (error) {
      const refusal = problemForError(error, { target, requestId: requestIdOf(req) });
      stripIdentityHeaders(req);
      if (refusal === undefined) {
        socket.destroy();
        throw error;
      }
      onRefused?.(req, { reason: refusal.reason });
      endSocketWith(socket, refusal);
      return undefined;
    }
    const identity = allowKinds(req, kinds);
    if (identity === undefined) {
      endSocketWith(socket, problemResponse('identity_not_allowed', { target, requestId: requestIdOf(req) }));
    }
    return identity;
  };
}

/** Writes an HTTP response by hand, because Node's HTTP server has detached from an upgrading socket. */
function endSocketWith(socket: Duplex, { status, headers, body }: ProblemResponse): void {
  const fields = { ...headers, connection: 'close', 'content-length': String(Buffer.byteLength(body)) };
  const head = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${head.join('')}\r\n${body}`);
}
