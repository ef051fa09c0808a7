import { ConnectionPool } from './connection-pool.ts';
import type { SocketOpener } from './open-socket.ts';

export type SingleUseAddress = Readonly<{
  /** The value of `Host`. */
  host: string;
  opener: SocketOpener;
}>;

/** A pool for occasional requests. Each opens a connection of its own, so it never meets one that the service is closing. */
export const singleUsePool = ({ host, opener }: SingleUseAddress, timeoutMs: number): ConnectionPool =>
  new ConnectionPool({
    host,
    opener,
    maxConnections: 1,
    queueTimeoutMs: timeoutMs,
    headTimeoutMs: timeoutMs,
    bodyTimeoutMs: timeoutMs,
    idleTimeoutMs: 0,
  });
