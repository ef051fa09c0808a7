import type { Route } from '../../config/config.ts';
import { AppError } from '../../errors.ts';
import { assertStillValid, assertUnrevoked, type TokenStatus } from '../../tokens/verified-tokens.ts';

/** The route and the token that admitted a connection. */
export type Admission = Readonly<{ route: Route; token: TokenStatus | undefined }>;

/** @param reason Why the token is no longer valid; undefined if the process stops or the configuration changed. */
export type EndConnection = (reason: AppError | undefined) => void;

/** Whether a response is short, long-running or endless. */
export type ResponseLifetime = 'endless' | 'long' | 'short';

/** Responses, uploads and WebSockets that must end when their token or route is revoked. */
export type OpenConnections = Readonly<{
  /**
   * Endless ones, WebSockets and event streams, end when their token expires. Long ones, uploads and long responses,
   * may outlast `exp`, but not a revocation. Short ones are not tracked.
   *
   * @param end Called at once if the current configuration does not admit an endless one.
   * @returns A function that removes it.
   */
  add(lifetime: ResponseLifetime, admission: Admission, end: EndConnection): () => void;
  /** Ends all whose token is no longer valid. Called on new revocations, and every second for expiry. */
  review(): void;
  /** Sets which endless ones may stay open from now on, and ends the others. */
  keepOnly(mayStay: (admission: Admission) => boolean): void;
  /** Ends the endless ones, because the process stops. */
  endAll(): void;
  /** The number of endless ones. */
  readonly size: number;
}>;

type Open = Readonly<{ admission: Admission; end: EndConnection }>;

export function createOpenConnections(nowMs: () => number): OpenConnections {
  const endless = new Set<Open>();
  const long = new Set<Open>();
  let mayStay = (_admission: Admission) => true;

  function endUnless(mayStayOpen: (admission: Admission) => boolean): void {
    for (const connection of endless) {
      if (mayStayOpen(connection.admission)) continue;
      endless.delete(connection);
      connection.end(undefined);
    }
  }

  function endInvalid(open: Set<Open>, assertValid: (token: TokenStatus, nowMs: number) => void): void {
    const now = nowMs();
    for (const connection of open) {
      const { token } = connection.admission;
      if (token === undefined) continue;
      try {
        assertValid(token, now);
      } catch (error) {
        open.delete(connection);
        connection.end(error instanceof AppError ? error : new AppError('internal_error', { cause: error }));
      }
    }
  }

  return {
    add(lifetime, admission, end) {
      const connection = { admission, end };
      if (lifetime === 'endless') {
        if (mayStay(admission)) endless.add(connection);
        else end(undefined);
        return () => endless.delete(connection);
      }
      if (lifetime === 'long' && admission.token !== undefined) long.add(connection);
      return () => long.delete(connection);
    },
    review() {
      endInvalid(endless, assertStillValid);
      endInvalid(long, assertUnrevoked);
    },
    keepOnly(next) {
      mayStay = next;
      endUnless(next);
    },
    endAll() {
      endUnless(() => false);
    },
    get size() {
      return endless.size;
    },
  };
}

/** Responses whose clients have stopped reading. Each holds a connection to its service. */
export type StalledResponses = Readonly<{
  /**
   * @param end Disconnects the client.
   * @returns A function that removes the response, because its client reads again or it has ended.
   */
  add(end: () => void): () => void;
  /**
   * Ends the response that has stalled longest, to free its connection. Responses that stalled only a moment ago are
   * left alone.
   */
  endOldest(): void;
}>;

// A client that reads as fast as its line allows never stalls this long.
const minStallMs = 1_000;

export function createStalledResponses(monotonicMs: () => number): StalledResponses {
  // Ordered by the start of the stall.
  const stalled = new Map<object, Readonly<{ end: () => void; sinceMs: number }>>();
  return {
    add(end) {
      const key = {};
      stalled.set(key, { end, sinceMs: monotonicMs() });
      return () => stalled.delete(key);
    },
    endOldest() {
      const [oldest] = stalled;
      if (oldest === undefined) return;
      const [key, { end, sinceMs }] = oldest;
      if (monotonicMs() - sinceMs < minStallMs) return;
      stalled.delete(key);
      end();
    },
  };
}
