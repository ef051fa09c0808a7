import type { Route } from '../../config/config.ts';
import { AppError } from '../../errors.ts';
import { assertStillValid, assertUnrevoked, type TokenStatus } from '../../tokens/verified-tokens.ts';

export type Admission = Readonly<{ route: Route; token: TokenStatus | undefined }>;

/** @param reason Why the token is no longer valid. Undefined if the process stops or the configuration changed. */
export type EndConnection = (reason: AppError | undefined) => void;

export type ResponseLifetime = 'endless' | 'long' | 'short';

type Open = Readonly<{ lifetime: 'endless' | 'long'; admission: Admission; end: EndConnection }>;

/** Responses, uploads and WebSockets that must end when their token or route is revoked. */
export class LongLivedConnections {
  readonly #nowMs: () => number;
  readonly #open = new Set<Open>();
  #mayStay = (_admission: Admission) => true;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** How many endless responses are open. */
  get size(): number {
    return [...this.#open].filter(({ lifetime }) => lifetime === 'endless').length;
  }

  /**
   * Tracks a response, upload or WebSocket. An endless one (a WebSocket or an event stream) ends when its token
   * expires. A long one (an upload or a long response) may outlast `exp`, but not a revocation. Short ones are not
   * tracked.
   *
   * @param end Called immediately if the current configuration does not admit an endless connection.
   * @returns A function that stops tracking.
   */
  add(lifetime: ResponseLifetime, admission: Admission, end: EndConnection): () => void {
    const isRefused = lifetime === 'endless' && !this.#mayStay(admission);
    if (isRefused) end(undefined);
    const cannotEnd = lifetime === 'short' || (lifetime === 'long' && admission.token === undefined);
    if (isRefused || cannotEnd) return () => {};
    const connection = { lifetime, admission, end };
    this.#open.add(connection);
    return () => this.#open.delete(connection);
  }

  /** Ends every connection whose token is no longer valid. Called on new revocations, and every second for expiry. */
  readonly review = (): void => {
    const nowMs = this.#nowMs();
    for (const connection of this.#open) {
      const { lifetime, admission, end } = connection;
      if (admission.token === undefined) continue;
      try {
        if (lifetime === 'endless') assertStillValid(admission.token, nowMs);
        else assertUnrevoked(admission.token, nowMs);
      } catch (error) {
        this.#open.delete(connection);
        end(error instanceof AppError ? error : new AppError('internal_error', { cause: error }));
      }
    }
  };

  /** Sets which endless connections may stay open from now on, and ends the others. */
  keepOnly(mayStay: (admission: Admission) => boolean): void {
    this.#mayStay = mayStay;
    this.#endUnless(mayStay);
  }

  /** Ends the endless connections, because the process stops. */
  endAll(): void {
    this.#endUnless(() => false);
  }

  #endUnless(mayStay: (admission: Admission) => boolean): void {
    for (const connection of this.#open) {
      if (connection.lifetime === 'long' || mayStay(connection.admission)) continue;
      this.#open.delete(connection);
      connection.end(undefined);
    }
  }
}

// A client that reads as fast as its connection allows never stalls this long.
const minStallMs = 1_000;

/** Responses whose clients have stopped reading. Each holds a connection to its service. */
export class StalledResponses {
  readonly #monotonicMs: () => number;
  /** The functions that disconnect each client, with the start of its stall. The oldest comes first. */
  readonly #stalled = new Map<() => void, number>();

  constructor(monotonicMs: () => number) {
    this.#monotonicMs = monotonicMs;
  }

  /** @param end Disconnects the client. Each stall needs its own function. */
  add(end: () => void): () => void {
    this.#stalled.set(end, this.#monotonicMs());
    return () => this.#stalled.delete(end);
  }

  /** Ends the longest stall, to free its connection, unless it began only a moment ago. */
  endOldest(): void {
    for (const [end, sinceMs] of this.#stalled) {
      if (this.#monotonicMs() - sinceMs < minStallMs) return;
      this.#stalled.delete(end);
      end();
      return;
    }
  }
}
