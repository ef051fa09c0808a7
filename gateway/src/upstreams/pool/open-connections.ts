import type { Route } from '../../config/config.ts';
import { AppError } from '../../errors.ts';
import { assertStillValid, assertUnrevoked, type TokenStatus } from '../../tokens/verified-token.ts';

/** What an open connection was let in with. */
export type Admission = Readonly<{ route: Route; token: TokenStatus | undefined }>;

/** @param reason Why its token is no longer good; undefined where the process stops, or the configuration is another. */
export type EndConnection = (reason: AppError | undefined) => void;

/** What is going on under a token or a configuration that may end first. */
export type OpenConnections = Readonly<{
  /**
   * WebSockets and streams of events, which end with their token.
   *
   * @param end Called at once where it would not be let in any more.
   * @returns Takes it off the list again.
   */
  addEndless(admission: Admission, end: EndConnection): () => void;
  /** Uploads and long answers. They end by themselves, so they may outlast `exp`, but not a revocation. */
  addLong(token: TokenStatus, end: EndConnection): () => void;
  /** Ends all whose token is no longer good: called when revocations came in, and every second for expiry. */
  review(): void;
  /** From now on only those endless ones may be open that this says. Ends the others. */
  keepOnly(mayStay: (admission: Admission) => boolean): void;
  /** Ends the endless ones: the process stops. */
  endAll(): void;
  /** Endless ones. */
  readonly size: number;
}>;

type Endless = Readonly<{ admission: Admission; end: EndConnection }>;
type Long = Readonly<{ token: TokenStatus; end: EndConnection }>;

export function createOpenConnections(nowMs: () => number): OpenConnections {
  const endless = new Set<Endless>();
  const long = new Set<Long>();
  let mayStay = (_admission: Admission) => true;

  function endUnless(isFine: (admission: Admission) => boolean): void {
    for (const connection of endless) if (!isFine(connection.admission)) endOne(endless, connection, undefined);
  }

  return {
    addEndless(admission, end) {
      const connection = { admission, end };
      if (mayStay(admission)) endless.add(connection);
      else end(undefined);
      return () => endless.delete(connection);
    },
    addLong(token, end) {
      const connection = { token, end };
      long.add(connection);
      return () => long.delete(connection);
    },
    review() {
      const now = nowMs();
      for (const connection of endless) {
        const { token } = connection.admission;
        const reason = token && objectionOf(assertStillValid, token, now);
        if (reason !== undefined) endOne(endless, connection, reason);
      }
      for (const connection of long) {
        const reason = objectionOf(assertUnrevoked, connection.token, now);
        if (reason !== undefined) endOne(long, connection, reason);
      }
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

function endOne<Open extends { end: EndConnection }>(set: Set<Open>, open: Open, reason: AppError | undefined): void {
  set.delete(open);
  open.end(reason);
}

/** Whatever it is: a new request with this token would be refused for it now. */
function objectionOf(
  judge: (token: TokenStatus, nowMs: number) => void,
  token: TokenStatus,
  nowMs: number,
): AppError | undefined {
  try {
    judge(token, nowMs);
    return undefined;
  } catch (error) {
    return error instanceof AppError ? error : new AppError('internal_error', { cause: error });
  }
}
