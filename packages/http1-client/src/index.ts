export { ConnectionPool, type ConnectionPoolOptions } from './connection-pool.ts';
export type { DispatchController, Dispatcher, DispatchHandler, DispatchOptions } from './dispatcher.ts';
export { latin1Fields } from './exchange.ts';
export { ExchangeError, type ExchangeErrorCode } from './exchange-error.ts';
export { type GetOptions, type GotResponse, get, headerOf, singleUse } from './get.ts';
export {
  createSocketOpener,
  type SocketOpener,
  type SocketOpenerOptions,
  type TlsIdentity,
  undiciConnector,
} from './open-socket.ts';
export { token, tokenCharacters } from './token.ts';
