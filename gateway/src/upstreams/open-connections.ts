import { assertStillGood, type Standing } from '../tokens/verified-token.ts';

/** WebSockets and event streams, each opened with a token that may end before they do. */
export type OpenConnections = Readonly<{
  /** @param end Closes the connection. @returns Takes it off the list again. */
  add(token: Standing | undefined, end: () => void): () => void;
  /** Ends all whose token is no longer good: called when revocations came in, and every second for expiry. */
  review(): void;
  /** Ends all of them: the process stops. */
  endAll(): void;
  readonly size: number;
}>;

export function createOpenConnections(nowMs: () => number): OpenConnections {
  const open = new Set<Readonly<{ token: Standing | undefined; end: () => void }>>();
  return {
    add(token, end) {
      const connection = { token, end };
      open.add(connection);
      return () => open.delete(connection);
    },
    review() {
      for (const connection of open) {
        if (connection.token === undefined || isGood(connection.token, nowMs())) continue;
        open.delete(connection);
        connection.end();
      }
    },
    endAll() {
      for (const { end } of open) end();
      open.clear();
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
