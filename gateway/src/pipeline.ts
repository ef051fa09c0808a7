import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Admitted, Arrival, Authenticated, Incoming, Matched, Permitted, Signed } from './exchange.ts';
import type { PreflightHeaders } from './stages/cors.ts';
import { answerServerOptions } from './stages/server-options.ts';

/** One function a stage. Each takes what the one before it made and returns the next type, or throws an `AppError`. */
export type Stages = Readonly<{
  sanitize(arrival: Arrival): Incoming;
  /** On the public listener, where pages of other origins may call. What it returns is the answer. */
  cors?: ((incoming: Incoming) => PreflightHeaders | undefined) | undefined;
  match(incoming: Incoming): Matched;
  authenticate(matched: Matched): Authenticated | Promise<Authenticated>;
  authorize(authenticated: Authenticated): Permitted;
  limit(permitted: Permitted): Admitted | Promise<Admitted>;
  sign(admitted: Admitted): Signed | Promise<Signed>;
  /** Each attempt of a retry is signed afresh. */
  signAgain(signed: Signed): Signed;
  /** Requests only: whether there is a place left for another streamed body. It throws. */
  admitUpload(signed: Signed): void;
  /** Upgrades only: whose page asks, and whether there is a place left for another socket. They throw. */
  checkOrigin?(incoming: Incoming): void;
  admitSocket(signed: Signed, socket: Duplex): void;
  forwardHttp(signed: Signed, response: ServerResponse, signAgain: (signed: Signed) => Signed): Promise<void>;
  forwardUpgrade(signed: Signed, socket: Duplex, head: Buffer): Promise<void>;
}>;

/** Both settle when the exchange is over. They reject, with an `AppError` for every known reason, while nothing was answered. */
export type Pipeline = Readonly<{
  http(arrival: Arrival, response: ServerResponse): Promise<void>;
  upgrade(arrival: Arrival, socket: Duplex, head: Buffer): Promise<void>;
}>;

/**
 * The straight line. Plain requests and upgrades differ in their last step only, so there is no second way in.
 *
 *     sanitize ─► match ─► authenticate ─► authorize ─► limit ─► sign ─► forward
 */
export function createPipeline(stages: Stages): Pipeline {
  async function signed(incoming: Incoming): Promise<Signed> {
    const matched = stages.match(incoming);
    const authenticated = await stages.authenticate(matched);
    const permitted = stages.authorize(authenticated);
    const admitted = await stages.limit(permitted);
    return stages.sign(admitted);
  }

  return {
    async http(arrival, response) {
      const incoming = stages.sanitize(arrival);
      const own = stages.cors?.(incoming) ?? answerServerOptions(incoming);
      if (own !== undefined) response.writeHead(204, own).end();
      else {
        const request = await signed(incoming);
        stages.admitUpload(request);
        await stages.forwardHttp(request, response, stages.signAgain);
      }
    },
    async upgrade(arrival, socket, head) {
      const incoming = stages.sanitize(arrival);
      // Only for what it notes: no upgrade is a preflight.
      stages.cors?.(incoming);
      stages.checkOrigin?.(incoming);
      const upgrade = await signed(incoming);
      stages.admitSocket(upgrade, socket);
      await stages.forwardUpgrade(upgrade, socket, head);
    },
  };
}
