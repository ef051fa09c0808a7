export { ConnectionPool, type ConnectionPoolOptions } from './connection-pool.ts';
export type { DispatchController, Dispatcher, DispatchHandler, DispatchOptions } from './dispatcher.ts';
export { type GetOptions, type GotResponse, get, headerOf, singleUse } from './get.ts';
export { HttpClientError, type HttpClientErrorCode } from './http-client-error.ts';
export {
  createSocketOpener,
  type SocketOpener,
  type SocketOpenerOptions,
  type TlsIdentity,
  undiciConnector,
} from './open-socket.ts';
export { latin1Fields } from './pooled-request.ts';
export { token, tokenCharacters } from './token.ts';
