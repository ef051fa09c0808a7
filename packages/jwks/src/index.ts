export { fileKeySet } from './file-key-set.ts';
export { importPublicJwk } from './import-jwk.ts';
export { type KeySet, type KeySetStats, KeySetUnavailable } from './key-set.ts';
export type { IgnoredKey, IgnoredReason } from './parse-jwks.ts';
export { type KeySetEvent, type RemoteKeySetOptions, remoteKeySet } from './remote-key-set.ts';
export { type StaticKeySetOptions, staticKeySet } from './static-key-set.ts';
export type { Timers } from './timers.ts';
