export { ConnectionPool, type ConnectionPoolOptions } from './connection-pool.ts';
export { ExchangeError, type ExchangeErrorCode } from './exchange-error.ts';
export { type GetOptions, type GotResponse, get, headerOf } from './get.ts';
export { createSocketOpener, type SocketOpener, type SocketOpenerOptions, type TlsIdentity } from './open-socket.ts';
export { type SingleUseAddress, singleUsePool } from './single-use-pool.ts';
export type { ExchangeProgress, ResponseHandler, UpstreamExchange, UpstreamRequest } from './upstream-exchange.ts';
