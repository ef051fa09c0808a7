import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Admitted, Arrival, Authenticated, Incoming, Matched, Permitted, Signed } from './exchange.ts';
import type { OwnAnswer } from './stages/resource-metadata.ts';

/**
 * One function per stage, from the file of its name in `stages/`. Each takes the result of the previous one and returns the
 * next type, or throws an `AppError`. `forwardHttp` and `forwardUpgrade` are in `upstreams/`.
 */
export type Stages = Readonly<{
  sanitize(arrival: Arrival): Incoming;
  /** Preflights, `OPTIONS *` and metadata: what no service answers. */
  answerItself(incoming: Incoming): OwnAnswer | undefined;
  match(incoming: Incoming): Matched;
  authenticate(matched: Matched): Authenticated | Promise<Authenticated>;
  authorize(authenticated: Authenticated): Permitted;
  limit(permitted: Permitted): Admitted | Promise<Admitted>;
  sign(admitted: Admitted): Signed | Promise<Signed>;
  /** Signs a retry: afresh, or with the nonce and time of an attempt that was refused. */
  signAgain(signed: Signed, refused?: Signed['outbound']): Signed['outbound'];
  /** Streamed bodies only: throws if this address has too many of them open. */
  admitUpload(signed: Signed): void;
  /** Upgrades only: throw if the page's origin is not allowed, or if this user has too many sockets open. */
  checkOrigin?(incoming: Incoming): void;
  admitSocket(signed: Signed, socket: Duplex): void;
  forwardHttp(signed: Signed, response: ServerResponse, signAgain: Stages['signAgain']): Promise<void>;
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

type UpgradeSocket = Readonly<{ socket: Duplex; head: Buffer }>;

/**
 * Runs the stages in order. Requests and upgrades differ in the last step only, so neither can bypass a stage. Waits
 * only where a stage returns a promise: most requests reach their service without a pause.
 *
 *     sanitize ─► match ─► authenticate ─► authorize ─► limit ─► sign ─► forward
 */
export function createPipeline(stages: Stages): Pipeline {
  async function run(arrival: Arrival, response?: ServerResponse, upgrade?: UpgradeSocket): Promise<void> {
    const incoming = stages.sanitize(arrival);
    // An upgrade is never a preflight, but its record gets the CORS headers too.
    const answer = stages.answerItself(incoming);
    if (answer !== undefined && response !== undefined) {
      response.writeHead(answer.status, answer.headers).end(answer.body);
      return;
    }
    if (upgrade !== undefined) stages.checkOrigin?.(incoming);
    const matched = stages.match(incoming);
    const authenticating = stages.authenticate(matched);
    const authenticated = authenticating instanceof Promise ? await authenticating : authenticating;
    const permitted = stages.authorize(authenticated);
    const limiting = stages.limit(permitted);
    const admitted = limiting instanceof Promise ? await limiting : limiting;
    const signing = stages.sign(admitted);
    const signed = signing instanceof Promise ? await signing : signing;
    if (response !== undefined) {
      if (signed.outbound.body === 'stream') stages.admitUpload(signed);
      await stages.forwardHttp(signed, response, stages.signAgain);
    } else if (upgrade !== undefined) {
      stages.admitSocket(signed, upgrade.socket);
      await stages.forwardUpgrade(signed, upgrade.socket, upgrade.head);
    }
  }

  return {
    http: (arrival, response) => run(arrival, response),
    upgrade: (arrival, socket, head) => run(arrival, undefined, { socket, head }),
  };
}
