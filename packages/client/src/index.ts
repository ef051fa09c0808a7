export type { components, operations, paths } from './api-types.ts';
export { type Client, type ClientOptions, createClient } from './client.ts';
export type { StreamEvent } from './event-parser.ts';
export type { EventPath, EventStreamOptions } from './events.ts';
export { ApiError, type Problem } from './problem.ts';
export type { RetryOptions } from './retry.ts';
export type { RefreshTokenStore, Session, Tokens, Transport } from './session.ts';
