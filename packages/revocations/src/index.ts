export { type FeedOptions, type FeedRequest, followRevocations, type RevocationFeed } from './feed.ts';
export { type RevocationBatch, readRevocationBatch } from './revocation-batch.ts';
export { type Refusal, type RevocationGroup, Revocations, type RevocationsOptions } from './revocations.ts';
export type { RevokedKind, Subject } from './revoked-subject.ts';
