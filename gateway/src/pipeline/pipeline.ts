import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Admitted, Arrival, Authenticated, Incoming, Matched, OwnRequest, Permitted, Signed } from './exchange.ts';
import type { OwnAnswer } from './resource-metadata.ts';

/**
 * One function per stage. Each is in a file of the same name, except match and authorize, which are in `route.ts`. A
 * stage takes the previous stage's result and returns the next type, or throws an `AppError`.
 */
export type Stages = Readonly<{
  sanitize(arrival: Arrival): Incoming;
  /** Answers preflight requests, `OPTIONS *` and metadata requests, which no service handles. */
  answerItself(request: OwnRequest): OwnAnswer | undefined;
  /** Only for upgrades: throws if the page's origin is not allowed. */
  checkOrigin?(incoming: Incoming): void;
  match(incoming: Incoming): Matched;
  authenticate(matched: Matched): Authenticated | Promise<Authenticated>;
  authorize(authenticated: Authenticated): Permitted;
  limit(permitted: Permitted): Admitted | Promise<Admitted>;
  sign(admitted: Admitted): Signed | Promise<Signed>;
}>;

/**
 * Decides about a request, however it arrived. The code that calls it takes the last step, such as {@link Forward}.
 *
 * @returns The signed request, or the gateway's own response. Rejects with an `AppError` for every known reason.
 */
export type Pipeline = (arrival: Arrival) => Promise<Signed | OwnAnswer>;

/**
 * The last step on the gateway's own listeners. Both functions settle when the exchange is over. They reject only
 * before a response has started, with an `AppError` for every known reason.
 */
export type Forward = Readonly<{
  http(signed: Signed, response: ServerResponse): Promise<void>;
  upgrade(signed: Signed, request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void>;
}>;

/**
 * Runs the stages in order. Requests and upgrades differ only in the last step, so neither can bypass a stage. Awaits
 * only stages that return a promise, so most requests reach their service without a pause.
 *
 *     sanitize ─► match ─► authenticate ─► authorize ─► limit ─► sign
 *
 * @param unmatched Returns the error to respond with, if no route was found. Default: the error itself.
 */
export function createPipeline(
  stages: Stages,
  unmatched: (error: unknown, incoming: Incoming) => unknown = (error) => error,
): Pipeline {
  return async (arrival) => {
    const incoming = stages.sanitize(arrival);
    let matched: Matched;
    try {
      // An upgrade is never a preflight, but this call also puts the CORS headers into its record.
      const answer = stages.answerItself(incoming);
      if (arrival.kind === 'upgrade') stages.checkOrigin?.(incoming);
      else if (answer !== undefined) return answer;
      matched = stages.match(incoming);
    } catch (error) {
      throw unmatched(error, incoming);
    }
    const authenticating = stages.authenticate(matched);
    const authenticated = authenticating instanceof Promise ? await authenticating : authenticating;
    const permitted = stages.authorize(authenticated);
    const limiting = stages.limit(permitted);
    const admitted = limiting instanceof Promise ? await limiting : limiting;
    return stages.sign(admitted);
  };
}
