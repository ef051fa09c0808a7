export {
  type FeedOptions,
  type FeedRequest,
  followRevocations,
  type RevocationBatch,
  type RevocationFeed,
  readRevocationBatch,
} from './feed.ts';
export { type RevocationGroup, type RevocationRefusal, Revocations, type RevocationsOptions } from './revocations.ts';
export type { RevokedKind, Subject } from './table.ts';
