import type { Route } from '../config/config.ts';
import { assertStillGood, type Standing } from '../tokens/verified-token.ts';

/** What an open connection was let in with. */
export type Admission = Readonly<{ route: Route; token: Standing | undefined }>;

/** WebSockets and event streams. Each was opened with a token and under a configuration that may end before it does. */
export type OpenConnections = Readonly<{
  /** @param end Closes the connection; called at once where it would not be let in any more. @returns Takes it off the list again. */
  add(admission: Admission, end: () => void): () => void;
  /** Ends all whose token is no longer good: called when revocations came in, and every second for expiry. */
  review(): void;
  /** From now on only those may be open that this says. Ends the others. */
  keepOnly(mayStay: (admission: Admission) => boolean): void;
  /** Ends all of them: the process stops. */
  endAll(): void;
  readonly size: number;
}>;

export function createOpenConnections(nowMs: () => number): OpenConnections {
  const open = new Set<Readonly<{ admission: Admission; end: () => void }>>();
  let mayStay = (_admission: Admission) => true;

  function endUnless(isFine: (admission: Admission) => boolean): void {
    for (const connection of open) {
      if (isFine(connection.admission)) continue;
      open.delete(connection);
      connection.end();
    }
  }

  return {
    add(admission, end) {
      const connection = { admission, end };
      if (mayStay(admission)) open.add(connection);
      else end();
      return () => open.delete(connection);
    },
    review() {
      endUnless(({ token }) => token === undefined || isGood(token, nowMs()));
    },
    keepOnly(next) {
      mayStay = next;
      endUnless(next);
    },
    endAll() {
      endUnless(() => false);
    },
    get size() {
      return open.size;
    },
  };
}

function isGood(token: Standing, nowMs: number): boolean {
  try {
    assertStillGood(token, nowMs);
    return true;
  } catch {
    // Whatever the reason, a new request with this token would be refused now.
    return false;
  }
}
