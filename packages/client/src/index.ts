export type { components, operations, paths } from './api-types.ts';
export { type Client, type ClientOptions, createClient } from './client.ts';
export type { EventPath, EventStreamOptions, StreamEvent } from './events.ts';
export type { RetryOptions } from './retry.ts';
export { ApiError, type Problem } from './send.ts';
export type { RefreshTokenStore, Session, Tokens, Transport } from './session.ts';
