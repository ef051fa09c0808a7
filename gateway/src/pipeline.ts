import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Admitted, Arrival, Authenticated, Incoming, Matched, Permitted, Signed } from './exchange.ts';
import type { PreflightHeaders } from './stages/cors.ts';
import { respondToServerOptions } from './stages/match.ts';

/**
 * One function per stage. Each takes the result of the previous one and returns the next type, or throws an `AppError`.
 */
export type Stages = Readonly<{
  sanitize(arrival: Arrival): Incoming;
  /** Public listener with `cors` only. Returns the headers of a preflight's response. */
  cors?: ((incoming: Incoming) => PreflightHeaders | undefined) | undefined;
  match(incoming: Incoming): Matched;
  authenticate(matched: Matched): Authenticated | Promise<Authenticated>;
  authorize(authenticated: Authenticated): Permitted;
  limit(permitted: Permitted): Admitted | Promise<Admitted>;
  sign(admitted: Admitted): Signed | Promise<Signed>;
  /** Signs each retry afresh. */
  signAgain(signed: Signed): Signed;
  /** Requests only: throws if this address has too many streamed bodies open. */
  admitUpload(signed: Signed): void;
  /** Upgrades only: throw if the page's origin is not allowed, or if this user has too many sockets open. */
  checkOrigin?(incoming: Incoming): void;
  admitSocket(signed: Signed, socket: Duplex): void;
  forwardHttp(signed: Signed, response: ServerResponse, signAgain: (signed: Signed) => Signed): Promise<void>;
  forwardUpgrade(signed: Signed, socket: Duplex, head: Buffer): Promise<void>;
}>;

/**
 * Both settle when the exchange is over. They reject only before a response has started, with an `AppError` for every
 * known reason.
 */
export type Pipeline = Readonly<{
  http(arrival: Arrival, response: ServerResponse): Promise<void>;
  upgrade(arrival: Arrival, socket: Duplex, head: Buffer): Promise<void>;
}>;

/**
 * Runs the stages in order. Requests and upgrades differ in the last step only, so neither can bypass a stage.
 *
 *     sanitize ─► match ─► authenticate ─► authorize ─► limit ─► sign ─► forward
 */
export function createPipeline(stages: Stages): Pipeline {
  async function runStages(incoming: Incoming): Promise<Signed> {
    const matched = stages.match(incoming);
    const authenticated = await stages.authenticate(matched);
    const permitted = stages.authorize(authenticated);
    const admitted = await stages.limit(permitted);
    return stages.sign(admitted);
  }

  return {
    async http(arrival, response) {
      const incoming = stages.sanitize(arrival);
      const preflight = stages.cors?.(incoming) ?? respondToServerOptions(incoming);
      if (preflight !== undefined) response.writeHead(204, preflight).end();
      else {
        const request = await runStages(incoming);
        stages.admitUpload(request);
        await stages.forwardHttp(request, response, stages.signAgain);
      }
    },
    async upgrade(arrival, socket, head) {
      const incoming = stages.sanitize(arrival);
      // Sets the CORS headers of the record. An upgrade is never a preflight.
      stages.cors?.(incoming);
      stages.checkOrigin?.(incoming);
      const upgrade = await runStages(incoming);
      stages.admitSocket(upgrade, socket);
      await stages.forwardUpgrade(upgrade, socket, head);
    },
  };
}
