import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Identity, IdentityKind } from '../contract/identity.ts';
import type { Verifier } from '../verify/verify.ts';
import { requestIdOf, verifyRequest } from './node-request.ts';
import { type ProblemResponse, problemForRefusal } from './problem.ts';
import { allowKinds, allowScopes, assertScopes } from './verified.ts';

export type VerifyUpgradeOptions = Readonly<{
  verifier: Verifier;
  /** Allowed kinds of caller. Default: users only. */
  kinds?: readonly IdentityKind[];
  /** Scopes that the caller's token must have, all of them. Default: none. */
  scopes?: readonly string[];
  onRefused?: (req: IncomingMessage, refusal: { reason: string }) => void;
}>;

/**
 * Verifies requests from a server's `upgrade` event, which middleware never sees. Call it first for every WebSocket.
 *
 * @returns The identity. Undefined if the request was refused and its socket closed. Other errors close the socket and
 *   reject.
 * @throws RangeError for `scopes` that no token can have.
 */
export function verifyUpgrade(
  options: VerifyUpgradeOptions,
): (req: IncomingMessage, socket: Duplex) => Promise<Identity | undefined> {
  const { verifier, kinds = ['user'], scopes, onRefused } = options;
  if (scopes !== undefined) assertScopes(scopes);
  return async (req, socket) => {
    // Node removes its own listener when it hands over the socket. Without one, a reset would end the process.
    socket.on('error', () => socket.destroy());
    const target = req.url ?? '';
    const problem = await verifyRequest(req, { verifier, target }).catch((error: unknown) => {
      socket.destroy();
      throw error;
    });
    if (problem !== undefined) {
      onRefused?.(req, { reason: problem.reason });
      endSocketWith(socket, problem);
      return undefined;
    }
    let decision = allowKinds(req, kinds);
    if (decision.refusal === undefined && scopes !== undefined) decision = allowScopes(req, scopes);
    const { identity, refusal } = decision;
    if (refusal !== undefined) {
      endSocketWith(socket, problemForRefusal(refusal, { target, requestId: requestIdOf(req) }));
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
