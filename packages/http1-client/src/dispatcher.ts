import type { Readable } from 'node:stream';
import type { Dispatcher as Undici } from 'undici';

/** The part of undici's `Dispatcher` that the gateway uses. `ConnectionPool` and undici's `Pool` both implement it. */
export interface Dispatcher {
  /**
   * Sends a request as soon as there is a connection. The handler learns about failures, possibly before this call
   * returns.
   *
   * @returns False if the request waits for a connection.
   */
  dispatch(options: DispatchOptions, handler: DispatchHandler): boolean;
  /** Refuses new requests. Closes idle connections now, and other connections after their requests. */
  close(): Promise<void>;
  /** Closes all connections now. Unfinished requests fail. */
  destroy(): Promise<void>;
}

export type DispatchOptions = Readonly<{
  method: string;
  path: string;
  /**
   * Alternating names and values, sent unchanged. This package writes `Host`, `Connection` and the framing itself. It
   * refuses requests that contain them here, except for `Content-Length` with a streamed body. Without a length, a
   * stream is sent in chunks.
   */
  headers: string[];
  /** From this index in `headers` on, the caller wrote the values, so they need no check. undici checks all. */
  trustedFrom?: number;
  /** Bytes are sent with the head. A stream is sent as it arrives, and destroyed if the request ends first. */
  body: Uint8Array | Readable | null;
  /** Milliseconds. Overrides the pool's timeout. */
  headersTimeout?: number;
  bodyTimeout?: number;
}>;

type Called = 'onRequestStart' | 'onResponseStart' | 'onResponseData' | 'onResponseEnd' | 'onResponseError';

/**
 * Receives one response. Either `onResponseEnd` or `onResponseError` is called exactly once, as the last call. If
 * another method throws, the request ends and `onResponseError` gets the exception. Read headers and trailers from
 * the controller, because this package does not parse them. undici also calls `onResponseStart` for informational
 * responses.
 */
export type DispatchHandler = Required<Pick<Undici.DispatchHandler, Called>> &
  Pick<Undici.DispatchHandler, 'onResponseStarted'>;

/** Controls one request. `abort` has no effect after the request is over. */
export type DispatchController = Undici.DispatchController;
