import type { Readable } from 'node:stream';
import type { Dispatcher as Undici } from 'undici';

/** The part of undici's `Dispatcher` that the gateway uses. `ConnectionPool` and undici's `Pool` both have it. */
export interface Dispatcher {
  /**
   * Sends a request, as soon as there is a connection. Failures reach the handler, and may do so before this returns.
   *
   * @returns False if the request waits for a connection.
   */
  dispatch(options: DispatchOptions, handler: DispatchHandler): boolean;
  /** Refuses new requests. Closes idle connections now, and others after their exchanges. */
  close(): Promise<void>;
  /** Closes all connections now. Unfinished exchanges fail. */
  destroy(): Promise<void>;
}

export type DispatchOptions = Readonly<{
  method: string;
  /** Path and query. */
  path: string;
  /**
   * Alternating names and values, sent unchanged. The client writes `Host`, `Connection` and the framing, and refuses
   * requests that have them here, with one exception: `Content-Length` of a streamed body. Without it, a stream is sent
   * in chunks.
   */
  headers: string[];
  /** The index in `headers` from which values need no check, because the caller has created them. undici checks all. */
  trustedFrom?: number;
  /** Bytes are sent with the head. A stream is sent as it flows, and destroyed if the exchange ends first. */
  body: Uint8Array | Readable | null;
  /** Milliseconds, overriding those of the pool. */
  headersTimeout?: number;
  bodyTimeout?: number;
}>;

type Called = 'onRequestStart' | 'onResponseStart' | 'onResponseData' | 'onResponseEnd' | 'onResponseError';

/**
 * Receives one response. `onResponseEnd` or `onResponseError` is called exactly once, and is the last call. An
 * exception of another method ends the exchange, and is passed to `onResponseError`. Read headers and trailers from the
 * controller, because this client does not parse them. undici also calls `onResponseStart` for informational responses.
 */
export type DispatchHandler = Required<Pick<Undici.DispatchHandler, Called>> &
  Pick<Undici.DispatchHandler, 'onResponseStarted'>;

/** Controls one exchange. `abort` has no effect after it is over. */
export type DispatchController = Undici.DispatchController;
